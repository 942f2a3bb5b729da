/* test_wire_ws_handshake.c: which requests are answered by a WebSocket (RFC 6455 section 4.2),
 * which subprotocol is chosen, and what becomes of each offer of permessage-deflate (RFC 7692
 * section 7). */
#include "wire/ws_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define REQUEST                                                                   \
    .method = "GET", .minor = 1, .upgrade = "websocket", .connection = "Upgrade", \
    .key = "dGhlIHNhbXBsZSBub25jZQ==", .version = "13"
static const struct ws_offer nothing = {.has_deflate = false};

/* "" when there is none. */
static const char *header(const struct ws_handshake *answer, const char *name)
{
    const char *value = "";

    for (const struct ws_header *h = answer->headers; h->name != NULL; h++)
        if (strcmp(h->name, name) == 0) {
            assert_string_equal(value, "");
            value = h->value;
        }
    return value;
}

static size_t count_headers(const struct ws_handshake *answer)
{
    size_t count = 0;

    while (answer->headers[count].name != NULL)
        count++;
    return count;
}

static void gives(int status, const struct ws_request *request, const char *what)
{
    struct ws_handshake answer;

    memset(&answer, 'x', sizeof answer);
    ws_handshake(request, &nothing, &answer);
    if (answer.status != status)
        fail_msg("%d for %s", answer.status, what);
    assert_int_equal(answer.why == NULL, status == 101);
    assert_string_equal(header(&answer, "Allow"), status == 405 ? "GET" : "");
    assert_string_equal(header(&answer, "Upgrade"),
                        status == 101 || status == 426 ? "websocket" : "");
    assert_string_equal(header(&answer, "Connection"),
                        status == 101 || status == 426 ? "Upgrade" : "");
    assert_string_equal(header(&answer, "Sec-WebSocket-Version"), status == 426 ? "13" : "");
    assert_string_equal(header(&answer, "Sec-WebSocket-Accept"),
                        status == 101 ? answer.accept : "");
    assert_int_equal(count_headers(&answer), status == 101 || status == 426 ? 3
                                             : status == 405                ? 1
                                                                            : 0);
    assert_false(answer.deflate.is_on);
    assert_null(answer.subprotocol);
}

static struct ws_request request_with(const char *field, const char *value)
{
    struct ws_request request = {REQUEST};
    const struct {
        const char *name;
        const char **place;
    } places[] = {
        {"method", &request.method},         {"upgrade", &request.upgrade},
        {"connection", &request.connection}, {"key", &request.key},
        {"version", &request.version},       {"protocol", &request.protocol},
        {"extensions", &request.extensions},
    };

    for (size_t i = 0; i < COUNT(places); i++)
        if (strcmp(places[i].name, field) == 0)
            *places[i].place = value;
    return request;
}

static const struct {
    const char *field, *value;
    int status;
} cases[] = {
    {"method", "GET", 101},
    {"method", "POST", 405},
    {"method", "HEAD", 405},
    {"method", "get", 405},
    {"method", NULL, 405},
    {"upgrade", "WebSocket", 101},
    {"upgrade", "h2c, websocket", 101},
    {"upgrade", " ,, websocket ,", 101},
    {"upgrade", NULL, 426},
    {"upgrade", "", 426},
    {"upgrade", "h2c", 426},
    {"upgrade", "websockets", 426},
    {"upgrade", "websocket/13", 426},
    {"upgrade", "web socket", 426},
    {"connection", "upgrade", 101},
    {"connection", "keep-alive, Upgrade", 101},
    {"connection", "keep-alive,\tUPGRADE\t,", 101},
    {"connection", NULL, 400},
    {"connection", "", 400},
    {"connection", "close", 400},
    {"connection", "upgrade-insecure", 400},
    {"version", NULL, 400},
    {"version", "", 400},
    {"version", "x", 400},
    {"version", "013", 400},
    {"version", "13, 8", 400},
    {"version", "13 ", 400},
    {"version", "256", 400},
    {"version", "1300", 400},
    {"version", "-13", 400},
    {"version", "8", 426},
    {"version", "0", 426},
    {"version", "14", 426},
    {"version", "255", 426},
    {"key", NULL, 400},
    {"key", "", 400},
    {"key", "dGhlIHNhbXBsZSBub25jZQ", 400},
    {"key", "dGhlIHNhbXBsZSBub25jZQ=", 400},
    {"key", "dGhlIHNhbXBsZSBub25jZUE=", 400},
    {"key", "dGhlIHNhbXBsZSBub25jZUFB", 400},
    {"key", "dGhlIHNhbXBsZSBub24=", 400},
    {"key", "dGhlIHNhbXBsZSBub25jZR==", 400},
    {"key", "dGhlIHNhbXBsZSBub25j*Q==", 400},
    {"key", "dGhlIHNhbXBsZSBub25jZQ== ", 400},
    {"key", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==", 400},
    {"protocol", "chat", 101},
    {"protocol", "chat, superchat", 101},
    {"protocol", "", 400},
    {"protocol", " , ", 400},
    {"protocol", "chat superchat", 400},
    {"protocol", "chat;q=1", 400},
    {"protocol", "\"chat\"", 400},
    {"protocol", "chat, \xc3\xa4", 400},
    {"extensions", "x-webkit-deflate-frame", 101},
    {"extensions", "permessage-deflate; client_max_window_bits", 101},
    {"extensions", "a; b=c; d=\"e\", f;g , h", 101},
    {"extensions", "a;b=\"c\\d\"", 101},
    {"extensions", "", 400},
    {"extensions", ",", 400},
    {"extensions", "a b", 400},
    {"extensions", "a;", 400},
    {"extensions", "a; ,b", 400},
    {"extensions", ";b", 400},
    {"extensions", "a;b=", 400},
    {"extensions", "a;b=,c", 400},
    {"extensions", "a;b=\"", 400},
    {"extensions", "a;b=\"c", 400},
    {"extensions", "a;b=\"c\\", 400},
    {"extensions", "a;b=\"\"", 400},
    {"extensions", "a;b=\"c d\"", 400},
    {"extensions", "a;b=\"c\"d", 400},
    {"extensions", "a;=c", 400},
    {"extensions", "permessage-deflate, a;;", 400},
    {"extensions", "\xc3\xa4", 400},
};

static void each_condition_is_looked_at(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ws_request request = request_with(cases[i].field, cases[i].value);

        gives(cases[i].status, &request, cases[i].value);
    }
}

static void http_10_knows_no_upgrade(void **state)
{
    struct ws_request request = {REQUEST};

    (void)state;
    request.minor = 0;
    gives(426, &request, "HTTP/1.0");
}

/* The example of section 1.3. */
static void the_key_is_accepted_as_the_rfc_has_it(void **state)
{
    const struct ws_request request = {REQUEST};
    struct ws_handshake answer;

    (void)state;
    ws_handshake(&request, &nothing, &answer);
    assert_string_equal(answer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* ---- subprotocols ---- */

static const char *chosen(const char *wanted, const char *const *own)
{
    struct ws_request request = request_with("protocol", wanted);
    const struct ws_offer offer = {.subprotocols = own};
    struct ws_handshake answer;

    ws_handshake(&request, &offer, &answer);
    assert_int_equal(answer.status, 101);
    assert_string_equal(header(&answer, "Sec-WebSocket-Protocol"),
                        answer.subprotocol ? answer.subprotocol : "");
    return answer.subprotocol ? answer.subprotocol : "";
}

static void the_servers_order_counts(void **state)
{
    static const char *const own[] = {"chat.v2", "chat", "Chat", NULL};
    static const char *const none[] = {NULL};

    (void)state;
    assert_string_equal(chosen("chat, chat.v2", own), "chat.v2");
    assert_string_equal(chosen("chat", own), "chat");
    assert_string_equal(chosen("other,,Chat ,another", own), "Chat");
    assert_string_equal(chosen("CHAT", own), "");
    assert_string_equal(chosen("cha, chat.v", own), "");
    assert_string_equal(chosen(NULL, own), "");
    assert_string_equal(chosen("chat", none), "");
    assert_string_equal(chosen("chat", NULL), "");
}

/* ---- permessage-deflate ---- */

static const struct ws_offer alone = {.has_deflate = true};
static const struct ws_offer keeping = {.has_deflate = true, .keeps_context = true};
static const struct ws_offer narrow = {
    .has_deflate = true, .keeps_context = true, .out_bits = 11, .in_bits = 10};

#define PMD  "permessage-deflate"
#define SNCT "; server_no_context_takeover"
#define CNCT "; client_no_context_takeover"
#define SMWB "; server_max_window_bits"
#define CMWB "; client_max_window_bits"

/* want NULL: declined. */
static struct ws_deflate_terms agreed(const struct ws_offer *offer, const char *offers,
                                      const char *want)
{
    struct ws_request request = request_with("extensions", offers);
    struct ws_handshake answer;

    ws_handshake(&request, offer, &answer);
    assert_int_equal(answer.status, 101);
    assert_string_equal(answer.extensions, want ? want : "");
    assert_string_equal(header(&answer, "Sec-WebSocket-Extensions"), want ? want : "");
    assert_int_equal(answer.deflate.is_on, want != NULL);
    return answer.deflate;
}

static void without_context_each_message_stands_alone(void **state)
{
    struct ws_deflate_terms terms;

    (void)state;
    terms = agreed(&alone, PMD, PMD SNCT CNCT);
    assert_true(!terms.keeps_in && !terms.keeps_out);
    assert_int_equal(terms.out_bits, 15);
    assert_int_equal(terms.in_bits, 15);
    agreed(&alone, PMD CMWB, PMD SNCT CNCT);
    agreed(&alone, PMD CMWB "=8", PMD SNCT CNCT);
    agreed(&alone, PMD SNCT CNCT, PMD SNCT CNCT);
    agreed(&alone, PMD " ;server_no_context_takeover;client_no_context_takeover\t", PMD SNCT CNCT);
    terms = agreed(&alone, PMD SMWB "=10", PMD SNCT CNCT SMWB "=10");
    assert_int_equal(terms.out_bits, 10);
    agreed(&alone, PMD SMWB "=15" CMWB, PMD SNCT CNCT SMWB "=15");
    agreed(&alone, PMD SMWB "=\"12\"", PMD SNCT CNCT SMWB "=12");
    agreed(&alone, PMD SMWB "=\"1\\2\"", PMD SNCT CNCT SMWB "=12");
    agreed(&nothing, PMD, NULL);
}

static void context_is_kept_where_both_want_it(void **state)
{
    struct ws_deflate_terms terms;

    (void)state;
    terms = agreed(&keeping, PMD, PMD);
    assert_true(terms.keeps_in && terms.keeps_out);
    terms = agreed(&keeping, PMD SNCT, PMD SNCT);
    assert_true(terms.keeps_in && !terms.keeps_out);
    terms = agreed(&keeping, PMD CNCT, PMD CNCT);
    assert_true(!terms.keeps_in && terms.keeps_out);
    terms = agreed(&keeping, PMD CMWB "=10", PMD CMWB "=10");
    assert_int_equal(terms.in_bits, 10);
    terms = agreed(&keeping, PMD CMWB "=8", PMD CMWB "=8");
    assert_int_equal(terms.in_bits, 8);
    terms = agreed(&keeping, PMD CMWB "=10" CNCT, PMD CNCT);
    assert_int_equal(terms.in_bits, 15);
    agreed(&keeping, PMD CMWB, PMD);
    agreed(&keeping, PMD CMWB "=15", PMD);
}

static void windows_are_as_small_as_either_wants(void **state)
{
    struct ws_deflate_terms terms;

    (void)state;
    terms = agreed(&narrow, PMD, PMD);
    assert_int_equal(terms.out_bits, 11);
    assert_int_equal(terms.in_bits, 15); /* the client has not said that it can have less */
    terms = agreed(&narrow, PMD CMWB, PMD CMWB "=10");
    assert_int_equal(terms.in_bits, 10);
    agreed(&narrow, PMD CMWB "=9", PMD CMWB "=9");
    agreed(&narrow, PMD CMWB "=12", PMD CMWB "=10");
    terms = agreed(&narrow, PMD SMWB "=15", PMD SMWB "=11");
    assert_int_equal(terms.out_bits, 11);
    terms = agreed(&narrow, PMD SMWB "=9", PMD SMWB "=9");
    assert_int_equal(terms.out_bits, 9);
    agreed(&narrow, PMD SMWB "=10" CMWB SNCT, PMD SNCT SMWB "=10" CMWB "=10");
}

static void bad_offers_are_declined(void **state)
{
    static const char *const bad[] = {
        PMD SMWB "=8", /* zlib cannot */
        PMD SMWB,
        PMD SMWB "=7",
        PMD SMWB "=16",
        PMD SMWB "=0",
        PMD SMWB "=010",
        PMD SMWB "=09",
        PMD SMWB "=100",
        PMD SMWB "=10x",
        PMD SMWB "=x",
        PMD SMWB "=1000000000",
        PMD SMWB "=10" SMWB "=10",
        PMD CMWB "=7",
        PMD CMWB "=16",
        PMD CMWB "=0",
        PMD CMWB "=x",
        PMD CMWB CMWB,
        PMD CMWB CMWB "=10",
        PMD CMWB "=10" CMWB,
        PMD SNCT "=1",
        PMD CNCT "=true",
        PMD SNCT SNCT,
        PMD CNCT CNCT,
        PMD "; something_else",
        PMD "; server_no_context_takeover_",
        PMD "; Server_no_context_takeover",
        PMD SNCT "; x=y",
        "permessage-deflat",
        "permessage-deflate2",
        "permessage-bzip2",
        "x-webkit-deflate-frame",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        char list[256];

        agreed(&alone, bad[i], NULL);
        snprintf(list, sizeof list, "%s, " PMD SMWB "=9, " PMD, bad[i]);
        agreed(&alone, list, PMD SNCT CNCT SMWB "=9");
    }
}

static void the_first_good_offer_is_taken(void **state)
{
    (void)state;
    agreed(&keeping, PMD SMWB "=10, " PMD, PMD SMWB "=10");
    agreed(&keeping, "mux;max-channels=4, " PMD "," PMD SNCT, PMD);
    agreed(&keeping, PMD SMWB "=8 , " PMD SNCT " ,, " PMD, PMD SNCT);
    agreed(&keeping, ", " PMD ",", PMD);
}

/* The longest answer there is has room. */
static void all_parameters_have_room(void **state)
{
    struct ws_offer offer = {.has_deflate = true, .keeps_context = true, .in_bits = 10};

    (void)state;
    agreed(&offer, PMD SNCT SMWB "=15" CMWB "=15", PMD SNCT SMWB "=15" CMWB "=10");
    assert_true(sizeof PMD SNCT CNCT SMWB "=15" CMWB "=15" <= WS_EXTENSIONS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_is_looked_at),
        cmocka_unit_test(http_10_knows_no_upgrade),
        cmocka_unit_test(the_key_is_accepted_as_the_rfc_has_it),
        cmocka_unit_test(the_servers_order_counts),
        cmocka_unit_test(without_context_each_message_stands_alone),
        cmocka_unit_test(context_is_kept_where_both_want_it),
        cmocka_unit_test(windows_are_as_small_as_either_wants),
        cmocka_unit_test(bad_offers_are_declined),
        cmocka_unit_test(the_first_good_offer_is_taken),
        cmocka_unit_test(all_parameters_have_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
