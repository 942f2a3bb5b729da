/* orders_worker.c: which worker an order is about, and the order that ends one. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "master/master.h"
#include "master/orders.h"
#include "master/pool.h"

/* "0", or "0.3" for that incarnation only; 0: for any. */
static bool read_worker(const char *text, unsigned *id_out, uint64_t *incarnation_out)
{
    size_t digits = strspn(text, "0123456789");
    const char *rest = text + digits;

    if (digits == 0 || digits > 9 || (*rest != '\0' && *rest != '.'))
        return false;
    *id_out = (unsigned)strtoul(text, NULL, 10);
    *incarnation_out = 0;
    if (*rest == '\0')
        return true;
    digits = strspn(rest + 1, "0123456789");
    if (digits == 0 || digits > 15 || rest[1 + digits] != '\0')
        return false;
    *incarnation_out = strtoull(rest + 1, NULL, 10);
    return *incarnation_out > 0;
}

struct worker *orders_find_worker(struct call *call)
{
    struct worker *worker;
    uint64_t incarnation;
    char name[POOL_NAME_MAX];
    unsigned id;

    if (!read_worker(call->argument, &id, &incarnation)) {
        call_refuse(call, HTTP_NOTFOUND, "no such worker",
                    "a worker is named by its id, such as 0, or by 0.3 with its incarnation");
        return NULL;
    }
    worker = pool_find(call->master->pool, id);
    if (worker == NULL || worker->is_reaped) {
        call_refuse(call, HTTP_NOTFOUND, "no such worker", "there is no worker %u", id);
        return NULL;
    }
    if (incarnation != 0 && worker->incarnation != incarnation) {
        call_refuse(call, 409, "another worker", "worker %s is not there: %s is", call->argument,
                    pool_name(worker, name));
        return NULL;
    }
    return worker;
}

/* Also while the server stops, which may wait for this one. */
void orders_kill_worker(struct call *call)
{
    struct worker *worker = orders_find_worker(call);
    const struct board *board = call->master->board;
    cJSON *json, *killed;
    char name[POOL_NAME_MAX];
    uint64_t requests, connections;

    if (worker == NULL)
        return;
    requests = board_get(&board_slot(board, worker->id)->active);
    connections = board_connections(board, worker->id);
    log_info("%s pid %d is killed at the request of user %u; lost with it: %" PRIu64
             " requests, %" PRIu64 " connections",
             pool_name(worker, name), (int)worker->pid, (unsigned)call->peer.uid, requests,
             connections);
    pool_kill(worker);
    json = cJSON_CreateObject();
    killed = cJSON_AddObjectToObject(json, "killed");
    cJSON_AddNumberToObject(killed, "id", worker->id);
    cJSON_AddNumberToObject(killed, "incarnation", (double)worker->incarnation);
    cJSON_AddNumberToObject(killed, "pid", worker->pid);
    cJSON_AddNumberToObject(json, "requests", (double)requests);
    cJSON_AddNumberToObject(json, "connections", (double)connections);
    call_answer(call, HTTP_OK, json);
}
