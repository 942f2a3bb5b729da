/* middleware_auth.c: access control: who is let in by user and password (RFC 7617) or by a token
 * (RFC 6750). It keeps no sessions, and sends nobody anywhere to log in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "http/chars.h"
#include "web/middleware.h"

/* Longer credentials are nobody's. */
#define CREDENTIALS_MOST 8192

struct auth {
    struct middleware common;
    char **realm; /* a list of one */
    char **pairs; /* name and password, or token and user, after each other; NULL: ask verify */
    int (*verify_user)(reeve_environ *environ, const char *name, const char *password, void *arg);
    int (*verify_token)(reeve_environ *environ, const char *token, const char **user_out,
                        void *arg);
    void *arg;
};

/* What came in the Authorization header. */
enum credentials {
    CREDENTIALS_NONE, /* none, or for another scheme */
    CREDENTIALS_BAD,
    CREDENTIALS_THERE
};

/* Each byte of `given` is compared with one of `secret`, which begins again behind its NUL. */
bool reeve_is_same_secret(const char *given, const char *secret)
{
    size_t length = strlen(given), size = strlen(secret) + 1, at = 0;
    volatile unsigned difference = length + 1 != size;

    for (size_t i = 0; i < length; i++) {
        difference |= (unsigned)((unsigned char)given[i] ^ (unsigned char)secret[at]);
        at = at + 1 == size ? 0 : at + 1;
    }
    return difference == 0;
}

/* What stands behind the scheme in Authorization: *text_out. */
static enum credentials find_credentials(const reeve_environ *environ, const char *scheme,
                                         const char **text_out)
{
    const char *value = reeve_request_header(environ, "Authorization");
    size_t length = strlen(scheme);

    if (!value || strncasecmp(value, scheme, length) != 0 ||
        (value[length] && value[length] != ' '))
        return CREDENTIALS_NONE;
    value += length;
    value += strspn(value, " ");
    *text_out = value;
    return *value && strlen(value) <= CREDENTIALS_MOST ? CREDENTIALS_THERE : CREDENTIALS_BAD;
}

static int let_in(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                  const char *scheme, const char *user)
{
    if (reeve_environ_set(environ, "AUTH_TYPE", scheme) == -1 ||
        reeve_environ_set(environ, "REMOTE_USER", user) == -1)
        return -1;
    return reeve_next_call(next, environ, start_response);
}

/* ---- making them ---- */

static void free_auth(void *state)
{
    struct auth *auth = state;

    free(auth->realm);
    free(auth->pairs);
    free(auth);
}

/* It stands in a quoted string as it is. */
static bool is_realm(const char *realm)
{
    for (; realm && *realm; realm++)
        if (*realm == '"' || *realm == '\\' || !char_is(*realm, CHAR_TEXT))
            return false;
    return realm;
}

/* `pairs` are struct reeve_user or reeve_token, two strings each. */
static char **copy_pairs(const char *const *pairs)
{
    size_t count = 0, i;
    const char **all;
    char **copy;

    while (pairs[2 * count])
        count++;
    all = calloc(2 * count + 1, sizeof *all);
    if (!all)
        return NULL;
    for (i = 0; i < 2 * count; i++)
        all[i] = pairs[i];
    copy = middleware_copy_list(all);
    free(all);
    return copy;
}

static struct auth *new_auth(const char *realm, const char *const *pairs)
{
    const char *list[] = {realm, NULL};
    struct auth *auth = calloc(1, sizeof *auth);

    if (!auth)
        return NULL;
    auth->common.free = free_auth;
    auth->realm = middleware_copy_list(list);
    auth->pairs = pairs ? copy_pairs(pairs) : NULL;
    if (!auth->realm || (pairs && !auth->pairs)) {
        free_auth(auth);
        return NULL;
    }
    return auth;
}

/* ---- user and password ---- */

static int ask_for_password(const struct auth *auth, reeve_environ *environ,
                            reeve_start_response *start_response)
{
    const char *value =
        reeve_printf(environ, "Basic realm=\"%s\", charset=\"UTF-8\"", auth->realm[0]);

    if (!value)
        return -1;
    return middleware_answer(environ, start_response, "401 Unauthorized",
                             REEVE_HEADERS({"WWW-Authenticate", value}));
}

/* "user:password" in base64, without control bytes, into `name`. The password, or NULL. */
static const char *decode_user(const char *text, char *name)
{
    ssize_t length = base64_decode(text, (unsigned char *)name);
    char *colon;

    if (length == -1)
        return NULL;
    name[length] = '\0';
    for (ssize_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return NULL;
    colon = strchr(name, ':');
    if (!colon)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

/* 1, 0 or -1. The whole table, whatever is found on the way. */
static int is_user(const struct auth *auth, reeve_environ *environ, const char *name,
                   const char *password)
{
    unsigned found = 0;

    if (!auth->pairs)
        return auth->verify_user(environ, name, password, auth->arg);
    for (char **pair = auth->pairs; *pair; pair += 2)
        found |= (unsigned)reeve_is_same_secret(name, pair[0]) &
                 (unsigned)reeve_is_same_secret(password, pair[1]);
    return found ? 1 : 0;
}

static int basic(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                 void *state)
{
    const struct auth *auth = state;
    const char *text, *password;
    char *name;
    int verdict;

    switch (find_credentials(environ, "Basic", &text)) {
    case CREDENTIALS_NONE:
        return ask_for_password(auth, environ, start_response);
    case CREDENTIALS_BAD:
        return middleware_answer(environ, start_response, "400 Bad Request", REEVE_NO_HEADERS);
    case CREDENTIALS_THERE:
        break;
    }
    name = reeve_alloc(environ, strlen(text) + 4);
    if (!name)
        return -1;
    password = decode_user(text, name);
    if (!password)
        return middleware_answer(environ, start_response, "400 Bad Request", REEVE_NO_HEADERS);
    verdict = is_user(auth, environ, name, password);
    if (verdict == 0)
        return ask_for_password(auth, environ, start_response);
    return verdict > 0 ? let_in(environ, start_response, next, "Basic", name) : -1;
}

static int check_users(reeve_module *module, const reeve_user *users)
{
    for (; users && users->name; users++) {
        if (!*users->name || strchr(users->name, ':'))
            return middleware_refuse(
                module, "basic auth: the user name \"%s\" is empty or has a colon", users->name);
        if (!users->password || !*users->password)
            return middleware_refuse(module, "basic auth: user %s has no password", users->name);
    }
    return 0;
}

int reeve_basic_auth_new(reeve_module *module, const reeve_basic_auth *options,
                         reeve_middleware *middleware_out)
{
    struct auth *auth;

    if (!is_realm(options->realm))
        return middleware_refuse(module, "basic auth: there has to be a realm, without quotes, "
                                         "backslashes and control bytes");
    if (!options->users == !options->verify)
        return middleware_refuse(module, "basic auth: needs either users or verify");
    if (check_users(module, options->users) == -1)
        return -1;
    auth = new_auth(options->realm, options->users ? &options->users->name : NULL);
    if (!auth)
        return middleware_out_of_memory(module);
    auth->verify_user = options->verify;
    auth->arg = options->arg;
    *middleware_out = (reeve_middleware){.call = basic, .state = auth};
    return 0;
}

/* ---- tokens ---- */

static int ask_for_token(const struct auth *auth, reeve_environ *environ,
                         reeve_start_response *start_response, const char *error)
{
    bool is_bad = error && strcmp(error, "invalid_request") == 0;
    const char *value =
        error ? reeve_printf(environ, "Bearer realm=\"%s\", error=\"%s\"", auth->realm[0], error)
              : reeve_printf(environ, "Bearer realm=\"%s\"", auth->realm[0]);

    if (!value)
        return -1;
    return middleware_answer(environ, start_response,
                             is_bad ? "400 Bad Request" : "401 Unauthorized",
                             REEVE_HEADERS({"WWW-Authenticate", value}));
}

/* token68 of RFC 9110 section 11.2. */
static bool is_token68(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789-._~+/");

    return length > 0 && strspn(text + length, "=") == strlen(text + length);
}

/* 1, 0 or -1. The whole table, whatever is found on the way. */
static int is_token(const struct auth *auth, reeve_environ *environ, const char *token,
                    const char **user_out)
{
    int found = 0;

    if (!auth->pairs)
        return auth->verify_token(environ, token, user_out, auth->arg);
    for (char **pair = auth->pairs; *pair; pair += 2)
        if (reeve_is_same_secret(token, pair[0])) {
            *user_out = pair[1];
            found = 1;
        }
    return found;
}

static int bearer(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                  void *state)
{
    const struct auth *auth = state;
    const char *token, *user = NULL;
    int verdict;

    switch (find_credentials(environ, "Bearer", &token)) {
    case CREDENTIALS_NONE:
        return ask_for_token(auth, environ, start_response, NULL);
    case CREDENTIALS_BAD:
        return ask_for_token(auth, environ, start_response, "invalid_request");
    case CREDENTIALS_THERE:
        break;
    }
    if (!is_token68(token))
        return ask_for_token(auth, environ, start_response, "invalid_request");
    verdict = is_token(auth, environ, token, &user);
    if (verdict == 0)
        return ask_for_token(auth, environ, start_response, "invalid_token");
    return verdict > 0 ? let_in(environ, start_response, next, "Bearer", user) : -1;
}

static int check_tokens(reeve_module *module, const reeve_token *tokens)
{
    for (size_t i = 0; tokens && tokens[i].token; i++)
        if (!is_token68(tokens[i].token) || !tokens[i].user)
            return middleware_refuse(module,
                                     "bearer auth: token %zu is empty, or has other bytes than "
                                     "letters, digits and -._~+/ (= at its end), or no user",
                                     i + 1);
    return 0;
}

int reeve_bearer_auth_new(reeve_module *module, const reeve_bearer_auth *options,
                          reeve_middleware *middleware_out)
{
    struct auth *auth;

    if (!is_realm(options->realm))
        return middleware_refuse(module, "bearer auth: there has to be a realm, without quotes, "
                                         "backslashes and control bytes");
    if (!options->tokens == !options->verify)
        return middleware_refuse(module, "bearer auth: needs either tokens or verify");
    if (check_tokens(module, options->tokens) == -1)
        return -1;
    auth = new_auth(options->realm, options->tokens ? &options->tokens->token : NULL);
    if (!auth)
        return middleware_out_of_memory(module);
    auth->verify_token = options->verify;
    auth->arg = options->arg;
    *middleware_out = (reeve_middleware){.call = bearer, .state = auth};
    return 0;
}
