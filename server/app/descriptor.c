/* descriptor.c: field by field, the head first: only what it says tells whether there is more. */
#include "app/descriptor.h"

#include <reeve/chat.h>
#include <reeve/websocket.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* What an application may ask for. */
#define STACK_LEAST (32u << 10)
#define STACK_MOST  (1u << 30)

/* Of an application's text, as much as a sentence bears. */
#define SHOWN 40

struct verdict {
    char *text;
    size_t size, length;
    bool is_unfit;
};

/* Adds a part to the sentence, as far as there is room. */
static void find(struct verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void find(struct verdict *verdict, const char *format, ...)
{
    size_t room = verdict->size - verdict->length;
    char part[256];
    va_list args;
    int n;

    va_start(args, format);
    vsnprintf(part, sizeof part, format, args);
    va_end(args);
    n = snprintf(verdict->text + verdict->length, room, "%s%s",
                 verdict->is_unfit ? "; " : "its descriptor does not fit: ", part);
    verdict->length += n >= 0 && (size_t)n < room ? (size_t)n : room - 1;
    verdict->is_unfit = true;
}

/* The head of it is the same in all versions. */
static void check_head(struct verdict *verdict, const reeve_app *app)
{
    if (app->magic != REEVE_MAGIC) {
        find(verdict, ".magic is 0x%08x and must be 0x%08x: was it made with REEVE_APP?",
             app->magic, REEVE_MAGIC);
        return; /* it may be anything */
    }
    if (app->abi_major != REEVE_ABI_MAJOR)
        find(verdict, ".abi_major is %u and must be %d: build it with this server's reeve/app.h",
             app->abi_major, REEVE_ABI_MAJOR);
    else if (app->abi_minor > REEVE_ABI_MINOR)
        find(verdict, ".abi_minor is %u and may be %d at most: it was built for a newer reeve",
             app->abi_minor, REEVE_ABI_MINOR);
    if (app->size < offsetof(reeve_app, name) || app->size > sizeof *app)
        find(verdict, ".size is %u bytes and must be from %zu to %zu", app->size,
             offsetof(reeve_app, name), sizeof *app);
}

static void check_name(struct verdict *verdict, const char *name)
{
    if (!name)
        find(verdict, ".name is missing");
    else if (!*name || name[strspn(name, NAME_CHARACTERS)])
        find(verdict, ".name is \"%.*s\" and must be letters, digits, '-' and '_'", SHOWN, name);
}

static void check_paths(struct verdict *verdict, const char *const *paths)
{
    for (size_t i = 0; paths && paths[i]; i++)
        if (paths[i][0] != '/' || paths[i][strcspn(paths[i], " \t\r\n")])
            find(verdict,
                 ".selftest_paths has \"%.*s\", and a path must begin with \"/\" and be without "
                 "blanks",
                 SHOWN, paths[i]);
}

/* A protocol's own size tells whether there is more, as the descriptor's does. */
static void check_chat(struct verdict *verdict, const reeve_chat_protocol *chat)
{
    if (chat->size < offsetof(reeve_chat_protocol, high_water) || chat->size > sizeof *chat)
        find(verdict,
             "a chat protocol's .size is %u bytes: does it begin with REEVE_CHAT_PROTOCOL?",
             chat->size);
    else if (!chat->name || !*chat->name)
        find(verdict, "a chat protocol's .name is missing");
    else if (!chat->serve && !chat->found_terminator)
        find(verdict, "the chat protocol \"%.*s\" has neither .found_terminator nor .serve", SHOWN,
             chat->name);
}

static void check_websocket(struct verdict *verdict, const reeve_websocket_protocol *websocket)
{
    if (websocket->size < offsetof(reeve_websocket_protocol, max_message) ||
        websocket->size > sizeof *websocket)
        find(verdict,
             "a WebSocket protocol's .size is %u bytes: does it begin with "
             "REEVE_WEBSOCKET_PROTOCOL?",
             websocket->size);
    else if (!websocket->name || !*websocket->name)
        find(verdict, "a WebSocket protocol's .name is missing");
}

static void check_protocols(struct verdict *verdict, const reeve_app *app)
{
    if (app->chat)
        check_chat(verdict, app->chat);
    for (size_t i = 0; app->chats && app->chats[i]; i++)
        check_chat(verdict, app->chats[i]);
    for (size_t i = 0; app->websockets && app->websockets[i]; i++)
        check_websocket(verdict, app->websockets[i]);
}

static void check_fields(struct verdict *verdict, const reeve_app *app)
{
    check_name(verdict, app->name);
    if (!app->version)
        find(verdict, ".version is missing");
    if (!app->application)
        find(verdict, ".application is missing");
    if (app->stack_size && (app->stack_size < STACK_LEAST || app->stack_size > STACK_MOST))
        find(verdict, ".stack_size is %zu bytes and must be from 32 KiB to 1 GiB", app->stack_size);
    check_paths(verdict, app->selftest_paths);
    check_protocols(verdict, app);
}

const char *descriptor_check(const reeve_app *descriptor, char *text, size_t size,
                             reeve_app *copy_out)
{
    struct verdict verdict = {.text = text, .size = size};

    check_head(&verdict, descriptor);
    if (verdict.is_unfit)
        return text;
    memset(copy_out, 0, sizeof *copy_out);
    memcpy(copy_out, descriptor, descriptor->size);
    check_fields(&verdict, copy_out);
    return verdict.is_unfit ? text : NULL;
}
