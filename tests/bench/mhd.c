/* mhd.c: a peer for the benchmark of views: the same answers by libmicrohttpd, one thread on epoll, with cJSON and libpq
 * called as they are.
 *
 * usage: mhd PORT [CONNINFO] */
#include <cjson/cJSON.h>
#include <libpq-fe.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 20

static PGconn *database;

static enum MHD_Result answer(struct MHD_Connection *connection, cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    cJSON_Delete(json);
    MHD_add_response_header(response, "Content-Type", "application/json");
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result things(struct MHD_Connection *connection, long first)
{
    cJSON *json = cJSON_CreateObject(), *items = cJSON_AddArrayToObject(json, "items");

    for (long i = first; i < first + ITEMS; i++) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddNumberToObject(item, "id", (double)i);
        cJSON_AddStringToObject(item, "name", "a thing with a name");
        cJSON_AddNumberToObject(item, "price", 12.5);
        cJSON_AddItemToArray(items, item);
    }
    return answer(connection, json);
}

static enum MHD_Result note(struct MHD_Connection *connection, const char *id)
{
    const char *parameters[] = {id};
    PGresult *result = PQexecPrepared(database, "note", 1, parameters, NULL, NULL, 0);
    cJSON *json = cJSON_CreateObject();

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
        cJSON_AddNumberToObject(json, "id", atof(PQgetvalue(result, 0, 0)));
        cJSON_AddStringToObject(json, "title", PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    return answer(connection, json);
}

static enum MHD_Result on_request(void *nothing, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    (void)nothing, (void)method, (void)version, (void)data, (void)size;
    if (!*state) {
        *state = connection;
        return MHD_YES;
    }
    if (strncmp(url, "/things/", 8) == 0)
        return things(connection, atol(url + 8));
    if (strncmp(url, "/notes/", 7) == 0 && database)
        return note(connection, url + 7);
    return MHD_NO;
}

int main(int argc, char **argv)
{
    struct MHD_Daemon *daemon;
    sigset_t end;
    int signal;

    if (argc < 2)
        return 2;
    if (argc > 2) {
        database = PQconnectdb(argv[2]);
        PQclear(PQprepare(database, "note", "SELECT id, title FROM notes WHERE id = $1", 1, NULL));
    }
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (unsigned short)atoi(argv[1]), NULL, NULL,
                         on_request, NULL, MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_END);
    if (!daemon)
        return 1;
    sigwait(&end, &signal);
    MHD_stop_daemon(daemon);
    return 0;
}
