/* action.c: the one place for a long-running action. What the action does is in deploy.c and
 * roll.c. */
#include "master/action.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "master/master.h"

enum action_start action_begin(struct master *master, struct action_listener listener,
                               const char **detail_out, const char *name_format, ...)
{
    struct action *action = &master->action;
    va_list args;

    if (master->is_stopping) {
        *detail_out = "the server is stopping";
        return ACTION_STOPPING;
    }
    if (action->name[0] != '\0') {
        *detail_out = action->name;
        return ACTION_BUSY;
    }
    va_start(args, name_format);
    vsnprintf(action->name, sizeof(action->name), name_format, args);
    va_end(args);
    action->listener = listener;
    return ACTION_BEGUN;
}

void action_say(struct master *master, cJSON *line)
{
    struct action_listener listener = master->action.listener;

    if (line != NULL && listener.on_line != NULL)
        listener.on_line(line, false, listener.arg);
    cJSON_Delete(line);
}

void action_end(struct master *master, cJSON *line)
{
    static const char no_memory[] = "{\"verdict\":\"failed\",\"reason\":\"memory has run out\"}";
    struct action_listener listener = master->action.listener;

    master->action = (struct action){.name = ""}; /* first: the listener may begin another one */
    if (line == NULL)
        line = cJSON_Parse(no_memory);
    if (listener.on_line != NULL)
        listener.on_line(line, true, listener.arg);
    cJSON_Delete(line);
}

void action_forget(struct master *master, void *listener_arg)
{
    if (master->action.listener.arg == listener_arg)
        master->action.listener = (struct action_listener){.on_line = NULL};
}
