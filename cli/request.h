/* request.h: one request of a verb; whatever goes wrong becomes a sentence and an exit status. */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include <cjson/cJSON.h>

#include "client.h"
#include "commands.h"

struct wish {
    const char *method, *path;
    const char *body; /* JSON; NULL: none */
    bool is_action;   /* it goes on in the server when we stop waiting */
};

/* The control socket's path. */
const char *request_socket(struct ctl *ctl);

/* Connects. EXIT_DONE, or the sentence has been said. */
enum exit_status request_open(struct ctl *ctl, const struct wish *wish, struct client *client_out);
/* Calls. EXIT_DONE: answered with 200; *json_out is the answer, to be freed. */
enum exit_status request_call(struct ctl *ctl, const struct wish *wish, struct client *client,
                              struct client_answer *answer_out, cJSON **json_out);
/* Judges an answer that came whole. EXIT_DONE: its status is 200, and *json_out is as above, but
 * NULL for a stream. */
enum exit_status request_judge(struct ctl *ctl, const struct client_answer *answer,
                               cJSON **json_out);
/* Says what a client_end other than done means, and which status that is. */
enum exit_status request_end(struct ctl *ctl, const struct wish *wish, const struct client *client,
                             enum client_end end);
/* All of it, and closes. */
enum exit_status request(struct ctl *ctl, const struct wish *wish, struct client_answer *answer_out,
                         cJSON **json_out);

/* Letters, digits, '-' and '_': it can stand in a path as it is. */
bool request_is_app_name(const char *name);
/* Says that there can be no application of such a name. */
enum exit_status request_no_such_app(struct ctl *ctl);

#endif
