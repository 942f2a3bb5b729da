/* linekv: keys and values over a line protocol: lines, bodies of so many bytes as memcached has
 * them, and bodies of several lines as SMTP has them. Try it: nc 127.0.0.1 8082
 *
 *     set KEY SIZE         SIZE bytes and a line's end follow        STORED
 *     text KEY             lines follow, up to one that is "."; a    STORED
 *                          line that begins with "." has one more
 *     get KEY              VALUE KEY SIZE, the bytes and a line's end, or NONE
 *     delete KEY           DELETED, or NONE
 *     stats                STAT NAME VALUE, each on a line, then END
 *     quit                 BYE
 *
 * Lines end with CRLF or LF. What is wrong is answered by a line that begins with ERROR.
 *
 * Each worker has all of it: what one of them changes it publishes, and the others do the same.
 * It is a cache: a worker that starts has nothing yet, and where two clients set the same key at
 * the same moment the workers may disagree until it is set again. A new build takes over what is
 * stored (handover) and who is connected (adopt). */
#include <errno.h>
#include <reeve/app.h>
#include <reeve/chat.h>
#include <reeve/pubsub.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANNEL    "linekv"
#define KEY_MOST   64
#define VALUE_MOST (16 * 1024)
#define KEYS_MOST  10000

/* To be raised when a struct changes: then a new build begins with nothing, or the connections stay
 * with the old one until they end. */
#define STORE_VERSION  1
#define CLIENT_VERSION 1

/* ---- what is stored: plain C, which knows nothing of connections ---- */

struct item {
    char key[KEY_MOST + 1];
    size_t size;
    char value[];
};

struct store {
    void *tree; /* tsearch(3) */
    size_t keys, bytes;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

static struct item *find(const struct store *store, const char *key)
{
    struct item wanted;
    void *node;

    snprintf(wanted.key, sizeof wanted.key, "%s", key);
    node = tfind(&wanted, &store->tree, compare);
    return node ? *(struct item **)node : NULL;
}

static int forget(struct store *store, const char *key)
{
    struct item *item = find(store, key);

    if (!item)
        return -1;
    tdelete(item, &store->tree, compare);
    store->keys--;
    store->bytes -= item->size;
    free(item);
    return 0;
}

static int keep(struct store *store, const char *key, const void *value, size_t size)
{
    struct item *item;

    forget(store, key);
    item = store->keys < KEYS_MOST ? malloc(sizeof *item + size) : NULL;
    if (!item)
        return -1;
    snprintf(item->key, sizeof item->key, "%s", key);
    item->size = size;
    memcpy(item->value, value, size);
    if (!tsearch(item, &store->tree, compare)) {
        free(item);
        return -1;
    }
    store->keys++;
    store->bytes += size;
    return 0;
}

/* ---- telling the other workers ---- */

/* "PID + KEY\n" and the value, or "PID - KEY\n". */
static void publish(char what, const char *key, const void *value, size_t size)
{
    char message[KEY_MOST + 32 + VALUE_MOST];
    size_t length =
        (size_t)snprintf(message, sizeof message, "%d %c %s\n", (int)getpid(), what, key);

    memcpy(message + length, value, size);
    reeve_publish(CHANNEL, message, length + size);
}

static void on_publication(reeve_subscription *subscription, const reeve_publication *publication,
                           void *module)
{
    struct store *store = reeve_module_data(module);
    const char *data = publication->data;
    char what, key[KEY_MOST + 1];
    int pid, length = 0;

    (void)subscription;
    if (!store || !data || sscanf(data, "%d %c %64s%n", &pid, &what, key, &length) != 3 ||
        pid == (int)getpid()) /* it was done when it was published */
        return;
    length++;
    if (what == '+')
        keep(store, key, data + length, publication->size - (size_t)length);
    else
        forget(store, key);
}

/* ---- a connection ---- */

/* What its next piece of input is. All that is to be remembered between two callbacks stands in the
 * struct, so that the next build can go on with it. */
enum mode { COMMAND, VALUE, VALUE_END, TEXT };

struct client {
    enum mode mode;
    char key[KEY_MOST + 1]; /* of what is coming in */
    char *value;            /* room for VALUE_MOST, only while it is coming in */
    size_t size;            /* of it so far */
    bool is_too_large;      /* it is read to its end all the same */
};

/* NULL: memory has run out. A build whose store has gone to another one, and which is live again,
 * begins a new one. */
static struct store *store_of(const reeve_chat *chat)
{
    reeve_module *module = reeve_chat_module(chat);

    if (!reeve_module_data(module))
        reeve_module_set_data(module, calloc(1, sizeof(struct store)));
    return reeve_module_data(module);
}

static int begin_value(reeve_chat *chat, enum mode mode, const char *key)
{
    struct client *client = reeve_chat_data(chat);

    snprintf(client->key, sizeof client->key, "%s", key);
    client->mode = mode;
    client->size = 0;
    client->is_too_large = false;
    client->value = malloc(VALUE_MOST);
    return client->value ? 0 : -1;
}

static void add_to_value(struct client *client, const char *bytes, size_t size)
{
    if (size > VALUE_MOST - client->size) {
        client->is_too_large = true;
        return;
    }
    memcpy(client->value + client->size, bytes, size);
    client->size += size;
}

/* `error`: what is wrong with it, or NULL. */
static int end_value(reeve_chat *chat, const char *error)
{
    struct client *client = reeve_chat_data(chat);

    if (client->is_too_large)
        error = "the value is too large";
    else if (!error && keep(store_of(chat), client->key, client->value, client->size) == -1)
        error = "there is no room";
    if (!error)
        publish('+', client->key, client->value, client->size);
    free(client->value); /* whoever waits for a next command takes little memory */
    client->value = NULL;
    client->mode = COMMAND;
    return error ? reeve_chat_printf(chat, "ERROR %s\r\n", error)
                 : reeve_chat_printf(chat, "STORED\r\n");
}

/* ---- commands ---- */

static int do_set(reeve_chat *chat, const char *key, const char *size)
{
    char *end;
    unsigned long length = strtoul(size, &end, 10);

    if (end != size && !*end && length <= VALUE_MOST)
        return begin_value(chat, VALUE, key) == 0 ? reeve_chat_set_length(chat, length) : -1;
    reeve_chat_printf(chat, "ERROR SIZE is a number up to %d\r\n", VALUE_MOST);
    reeve_chat_close_when_done(chat); /* where the next command begins is not known */
    return 0;
}

static int do_get(reeve_chat *chat, const char *key)
{
    const struct item *item = find(store_of(chat), key);

    if (!item)
        return reeve_chat_printf(chat, "NONE\r\n");
    reeve_chat_printf(chat, "VALUE %s %zu\r\n", key, item->size);
    reeve_chat_push(chat, item->value, item->size);
    return reeve_chat_push(chat, "\r\n", 2);
}

static int do_delete(reeve_chat *chat, const char *key)
{
    if (forget(store_of(chat), key) == -1)
        return reeve_chat_printf(chat, "NONE\r\n");
    publish('-', key, "", 0);
    return reeve_chat_printf(chat, "DELETED\r\n");
}

static int do_stats(reeve_chat *chat)
{
    const struct store *store = store_of(chat);

    return reeve_chat_printf(chat, "STAT keys %zu\r\nSTAT bytes %zu\r\nEND\r\n", store->keys,
                             store->bytes);
}

static int do_quit(reeve_chat *chat)
{
    reeve_chat_printf(chat, "BYE\r\n");
    reeve_chat_close_when_done(chat);
    return 0;
}

static int do_command(reeve_chat *chat, char *line)
{
    char *rest = line, *name = strsep(&rest, " "), *key = strsep(&rest, " ");
    bool has_key = key && *key && strlen(key) <= KEY_MOST;

    if (strcmp(name, "stats") == 0)
        return do_stats(chat);
    if (strcmp(name, "quit") == 0)
        return do_quit(chat);
    if (has_key && strcmp(name, "set") == 0)
        return do_set(chat, key, rest ? rest : "");
    if (has_key && strcmp(name, "text") == 0)
        return begin_value(chat, TEXT, key);
    if (has_key && strcmp(name, "get") == 0)
        return do_get(chat, key);
    if (has_key && strcmp(name, "delete") == 0)
        return do_delete(chat, key);
    return reeve_chat_printf(chat,
                             "ERROR there is set, text, get, delete (with a KEY of 1 to %d bytes), "
                             "stats and quit\r\n",
                             KEY_MOST);
}

/* ---- what comes in ---- */

static int take_text_line(reeve_chat *chat, const char *line, size_t size)
{
    struct client *client = reeve_chat_data(chat);
    size_t dot = size > 0 && line[0] == '.';

    if (dot && size == 1)
        return end_value(chat, NULL);
    add_to_value(client, line + dot, size - dot);
    add_to_value(client, "\n", 1);
    return 0;
}

/* A terminator was found: what came before it is collected. */
static int on_terminator(reeve_chat *chat)
{
    struct client *client = reeve_chat_data(chat);
    size_t size;
    char *piece = reeve_chat_collected(chat, &size);

    if (!store_of(chat))
        return -1;
    if (client->mode == VALUE) {
        add_to_value(client, piece, size);
        client->mode = VALUE_END;
        return reeve_chat_set_terminator(chat, "\n", 1);
    }
    if (size > 0 && piece[size - 1] == '\r')
        piece[--size] = '\0'; /* there always is one behind it */
    if (client->mode == VALUE_END)
        return end_value(chat, size > 0 ? "the value is longer than SIZE" : NULL);
    return client->mode == TEXT ? take_text_line(chat, piece, size) : do_command(chat, piece);
}

/* ---- its begin and end ---- */

static int on_connect(reeve_chat *chat)
{
    reeve_chat_set_data(chat, calloc(1, sizeof(struct client)));
    return reeve_chat_data(chat) ? reeve_chat_set_terminator(chat, "\n", 1) : -1;
}

/* Called for each, however it has ended. */
static void on_close(reeve_chat *chat, int error)
{
    struct client *client = reeve_chat_data(chat);

    (void)error;
    if (client)
        free(client->value);
    free(client);
}

static void on_error(reeve_chat *chat, int error)
{
    reeve_chat_printf(chat, "ERROR %s\r\n",
                      error == EMSGSIZE    ? "the line is too long"
                      : error == ETIMEDOUT ? "nothing was said for too long"
                                           : "the server has a problem");
}

static void on_farewell(reeve_chat *chat)
{
    reeve_chat_printf(chat, "BYE the server ends\r\n");
}

static int on_adopt(reeve_chat *chat, uint32_t version)
{
    (void)chat;
    return version == CLIENT_VERSION ? 0 : -1;
}

static const reeve_chat_protocol protocol = {
    REEVE_CHAT_PROTOCOL,
    .version = CLIENT_VERSION,
    .name = "linekv",
    .on_connect = on_connect,
    .found_terminator = on_terminator,
    .handle_close = on_close,
    .handle_error = on_error,
    .adopt = on_adopt,
    .farewell = on_farewell,
    .max_input = VALUE_MOST,
};

/* ---- the application ---- */

static void free_store(struct store *store)
{
    if (store)
        tdestroy(store->tree, free);
    free(store);
}

static int init(reeve_module *module)
{
    struct store *store = calloc(1, sizeof *store);

    if (!store || !reeve_subscribe(module, CHANNEL, on_publication, module)) {
        free(store);
        return reeve_refuse(module, "memory has run out");
    }
    reeve_module_set_data(module, store);
    return 0;
}

static void fini(reeve_module *module)
{
    if (!reeve_state_is_handed_over(module))
        free_store(reeve_module_data(module));
}

static int handover(reeve_module *module, void *state, uint32_t version)
{
    (void)state;
    if (version != STORE_VERSION)
        return -1;
    free_store(reeve_module_data(module)); /* what init has made */
    return 0;
}

/* For whoever looks with a browser. */
static int linekv(reeve_environ *environ, reeve_start_response *start_response)
{
    const struct store *store = reeve_module_data(reeve_environ_module(environ));
    const char *text = reeve_printf(environ, "%zu keys, %zu bytes\n", store ? store->keys : 0,
                                    store ? store->bytes : 0);

    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(environ, text, strlen(text));
}

REEVE_APP(.name = "linekv", .version = "1.0.0", .application = linekv, .init = init, .fini = fini,
          .state_version = STORE_VERSION, .handover = handover, .chat = &protocol);
