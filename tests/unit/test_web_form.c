/* test_web_form.c: queries, forms and files of a request, their limits, and that nothing of them is
 * left when it has ended. */
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <reeve/form.h>

#include "app_case.h"

static struct app_case the;
static char seen[8192]; /* what the application wrote down */
static const reeve_form_limits *limits;
static char folder[] = "/tmp/reeve-test-XXXXXX";

static int setup(void **state)
{
    (void)state;
    memset(seen, 0, sizeof seen);
    limits = NULL;
    return app_case_open(&the, NULL);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&the);
    return 0;
}

static int make_folder(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if anything was left there */
}

static unsigned count_entries(const char *path)
{
    DIR *listing = opendir(path);
    unsigned count = 0;

    assert_non_null(listing);
    while (readdir(listing))
        count++;
    closedir(listing);
    return count;
}

static unsigned count_descriptors(void)
{
    return count_entries("/proc/self/fd");
}

/* ---- what is asked ---- */

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
    size_t length = strlen(seen);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(seen + length, sizeof seen - length, format, arguments);
    va_end(arguments);
}

static void note_form(const reeve_form *form)
{
    const reeve_part *part = NULL;
    size_t count = 0;

    while ((part = reeve_form_next(form, part))) {
        const char *data = reeve_part_data(part), *filename = reeve_part_filename(part);

        note("%s", reeve_part_name(part));
        if (filename)
            note("<%s>", filename);
        if (data && strlen(data) < 100)
            note("=%s", data);
        if (!data || strlen(data) != reeve_part_size(part) || strlen(data) >= 100)
            note("(%d)", (int)reeve_part_size(part));
        note("%s", data ? ";" : "#;");
        count++;
    }
    if (count != reeve_form_count(form))
        note("but %zu", reeve_form_count(form));
}

static int reads_query(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_form *form;
    int status = reeve_query_read(environ, limits, &form);

    if (status != 0)
        return reeve_form_refuse(environ, start_response, status);
    note_form(form);
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

static int reads_form(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_form *form;
    int status = reeve_form_read(environ, limits, &form);

    if (status != 0)
        return reeve_form_refuse(environ, start_response, status);
    note_form(form);
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

/* What the server does not take any more, since it has refused the rest, is left out. */
static void send_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = send(the.client, bytes, size, MSG_NOSIGNAL);

        if (n == -1 && errno != EAGAIN)
            return;
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        event_base_loop(the.base, EVLOOP_NONBLOCK);
        app_case_receive(&the);
    }
}

/* The answer's status; `seen` is what the application made of it. */
static int ask(reeve_application *application, const char *request, size_t size)
{
    memset(seen, 0, sizeof seen);
    the.descriptor.application = application;
    app_case_connect(&the);
    send_all(request, size);
    shutdown(the.client, SHUT_WR);
    app_case_turn_until_closed(&the);
    app_case_hang_up(&the);
    return the.length > 12 ? atoi(the.wire + 9) : 0;
}

static int ask_query(const char *query)
{
    char request[8192];

    snprintf(request, sizeof request, "GET /?%s HTTP/1.1\r\nHost: a\r\n\r\n", query);
    return ask(reads_query, request, strlen(request));
}

static int post(reeve_application *application, const char *type, const char *body, size_t size)
{
    char *request = malloc(size + 500);
    int head = sprintf(request,
                       "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       type, size);
    int status;

    memcpy(request + head, body, size);
    status = ask(application, request, (size_t)head + size);
    free(request);
    return status;
}

static int post_fields(const char *body)
{
    return post(reads_form, "application/x-www-form-urlencoded", body, strlen(body));
}

#define MULTIPART "multipart/form-data; boundary=B"
#define FIELD(name, value) \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define UPLOAD(name, filename, value)                                                \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" filename \
    "\"\r\n\r\n" value "\r\n"
#define END "--B--\r\n"

static int post_multipart(const char *body)
{
    return post(reads_form, MULTIPART, body, strlen(body));
}

/* A body with a field, or a file, of so many bytes. */
static char *large(const char *attributes, size_t size)
{
    char *body = malloc(size + 500), *at = body;

    at += sprintf(at, "--B\r\nContent-Disposition: form-data; %s\r\n\r\n", attributes);
    memset(at, 'x', size);
    strcpy(at + size, "\r\n" END);
    return body;
}

static int post_large(const char *attributes, size_t size)
{
    char *body = large(attributes, size);
    int status = post_multipart(body);

    free(body);
    return status;
}

/* ---- queries and urlencoded bodies ---- */

static void all_fields_of_a_query_are_read(void **state)
{
    (void)state;
    assert_int_equal(ask_query("a=1&b=x%20y+z&a=%C3%A4&&c&=d&e==f&"), 204);
    assert_string_equal(seen, "a=1;b=x y z;a=\xc3\xa4;c=;=d;e==f;");
    assert_int_equal(ask_query(""), 204);
    assert_string_equal(seen, "");
    assert_int_equal(ask_query("&&&"), 204);
    assert_string_equal(seen, "");
}

static void a_malformed_query_is_refused(void **state)
{
    (void)state;
    assert_int_equal(ask_query("a=%00"), 400);
    assert_int_equal(ask_query("%00=a"), 400);
    assert_non_null(strstr(the.wire, "A field is badly escaped.\n"));
    limits = REEVE_FORM_LIMITS(.max_fields = 3);
    assert_int_equal(ask_query("a&b&c"), 204);
    assert_int_equal(ask_query("a&b&c&d"), 414);
}

static void a_urlencoded_body_is_read(void **state)
{
    (void)state;
    assert_int_equal(post_fields("a=1&b=x%20y+z&a=%26%3D"), 204);
    assert_string_equal(seen, "a=1;b=x y z;a=&=;");
    assert_int_equal(post_fields(""), 204);
    assert_int_equal(post_fields("a=%z"), 400);
    assert_int_equal(post_fields("a=%"), 400);
    assert_int_equal(post(reads_form, "text/plain", "a", 1), 415);
    assert_int_equal(post(reads_form, "application/x-www-form-urlencoded; charset=latin1", "a", 1),
                     415);
}

static void a_urlencoded_body_has_limits(void **state)
{
    char *body = malloc(3 << 20);
    (void)state;

    memset(body, 'a', 3 << 20);
    body[1 << 20] = '\0';
    assert_int_equal(post_fields(body), 204);
    body[1 << 20] = 'a';
    body[(1 << 20) + 1] = '\0';
    assert_int_equal(post_fields(body), 413);
    free(body);
    limits = REEVE_FORM_LIMITS(.max_fields = 2);
    assert_int_equal(post_fields("a=1&b=2"), 204);
    assert_int_equal(post_fields("a=1&b=2&c"), 413);
    limits = REEVE_FORM_LIMITS(.memory_all = 4);
    assert_int_equal(post_fields("a=12"), 204);
    assert_int_equal(post_fields("a=123"), 413);
}

static int ask_chunked(const char *type, const char *chunks)
{
    char request[4096];

    snprintf(
        request, sizeof request,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%s",
        type, chunks);
    return ask(reads_form, request, strlen(request));
}

static void a_body_of_unknown_length_has_the_same_limits(void **state)
{
    const char *type = "application/x-www-form-urlencoded";
    (void)state;

    limits = REEVE_FORM_LIMITS(.memory_all = 4, .max_size = 5);
    assert_int_equal(ask_chunked(type, "2\r\na=\r\n2\r\n12\r\n0\r\n\r\n"), 204);
    assert_string_equal(seen, "a=12;");
    assert_int_equal(ask_chunked(type, "2\r\na=\r\n3\r\n123\r\n0\r\n\r\n"), 413);
    assert_int_equal(ask_chunked(MULTIPART, "5\r\n--B--\r\n0\r\n\r\n"), 204);
    assert_int_equal(ask_chunked(MULTIPART, "5\r\n--B--\r\n1\r\n\r\r\n0\r\n\r\n"), 413);
    assert_int_equal(ask_chunked(MULTIPART, "5\r\n--B--\r\nx\r\n"), 400);
}

/* ---- multipart ---- */

static void fields_stay_in_memory_and_files_do_not(void **state)
{
    static const char with_nul[] = FIELD("n", "a\0b") END;
    (void)state;
    assert_int_equal(post_multipart(FIELD("a", "1") UPLOAD("f", "x.txt", "abc") FIELD("a", "")
                                        UPLOAD("f", "", "") END),
                     204);
    assert_string_equal(seen, "a=1;f<x.txt>(3)#;a=;f<>=;");
    assert_int_equal(post(reads_form, MULTIPART, with_nul, sizeof with_nul - 1), 204);
    assert_string_equal(seen, "n=a(3);");
    assert_int_equal(post_multipart(END), 204);
    assert_string_equal(seen, "");
}

static void what_is_too_large_for_memory_goes_to_a_file(void **state)
{
    (void)state;
    assert_int_equal(post_large("name=a", 65536), 204);
    assert_string_equal(seen, "a(65536);");
    assert_int_equal(post_large("name=a", 65537), 204);
    assert_string_equal(seen, "a(65537)#;");
    limits = REEVE_FORM_LIMITS(.memory_each = 10, .memory_all = 1000);
    assert_int_equal(post_multipart(FIELD("a", "0123456789") FIELD("b", "01234567890") END), 204);
    assert_string_equal(seen, "a=0123456789;b(11)#;");
    limits = REEVE_FORM_LIMITS(.memory_all = 1000);
    assert_int_equal(post_large("name=a", 900), 204);
    assert_string_equal(seen, "a(900)#;");
}

static void a_form_has_limits(void **state)
{
    (void)state;
    limits = REEVE_FORM_LIMITS(.max_fields = 2);
    assert_int_equal(post_multipart(FIELD("a", "1") FIELD("b", "1") END), 204);
    assert_int_equal(post_multipart(FIELD("a", "1") FIELD("b", "1") FIELD("c", "") END), 413);
    limits = REEVE_FORM_LIMITS(.max_files = 1);
    assert_int_equal(post_multipart(UPLOAD("a", "f", "1") FIELD("b", "1") END), 204);
    assert_int_equal(post_multipart(UPLOAD("a", "f", "1") UPLOAD("b", "f", "1") END), 413);
    limits = REEVE_FORM_LIMITS(.max_head = 45);
    assert_int_equal(post_multipart(FIELD("a", "1") END), 204);
    assert_int_equal(post_multipart(FIELD("a123456789012345678", "1") END), 413);
    limits = REEVE_FORM_LIMITS(.max_headers = 1);
    assert_int_equal(
        post_multipart("--B\r\nX: y\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" END),
        413);
    limits = REEVE_FORM_LIMITS(.memory_all = 300); /* names count, too */
    assert_int_equal(post_multipart(FIELD("a", "1") END), 204);
    assert_int_equal(post_multipart(FIELD("a", "1") FIELD("b", "") END), 413);
    limits = REEVE_FORM_LIMITS(.max_size = 100);
    assert_int_equal(post_large("name=a", 10), 204);
    assert_int_equal(post_large("name=a", 100), 413);
    limits = NULL;
    assert_int_equal(post_large("name=a; filename=b", 32 << 20), 413);
    limits = REEVE_FORM_LIMITS(.max_size = REEVE_UNLIMITED, .folder = "/dev/shm");
    assert_int_equal(post_multipart(UPLOAD("a", "f", "1") END), 204);
}

static void a_malformed_form_is_refused(void **state)
{
    (void)state;
    assert_int_equal(post_multipart(FIELD("a", "1")), 400);
    assert_int_equal(post_multipart(""), 400);
    assert_int_equal(post_multipart("--B\r\n\r\n1\r\n" END), 400);
    assert_int_equal(post_multipart("--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n" END), 400);
    assert_non_null(strstr(the.wire, "A part of the form has no name.\n"));
    assert_int_equal(post(reads_form, "multipart/form-data", "", 0), 400);
    assert_int_equal(post_multipart("--B\r\nContent-Type: multipart/mixed; boundary=C\r\n"
                                    "Content-Disposition: form-data; name=a\r\n\r\n1\r\n" END),
                     415);
}

/* ---- files ---- */

static int reads_form_with_one_descriptor(reeve_environ *environ,
                                          reeve_start_response *start_response)
{
    struct rlimit files, one;
    int lowest = dup(0), result;

    close(lowest);
    getrlimit(RLIMIT_NOFILE, &files);
    one = (struct rlimit){(rlim_t)lowest + 1, files.rlim_max};
    setrlimit(RLIMIT_NOFILE, &one);
    result = reads_form(environ, start_response);
    setrlimit(RLIMIT_NOFILE, &files);
    return result;
}

static void what_goes_wrong_with_a_file_is_told_apart(void **state)
{
    static const char two_files[] = UPLOAD("a", "f", "1") UPLOAD("b", "f", "1") END;
    struct rlimit size;
    unsigned before = count_descriptors();
    (void)state;

    limits = REEVE_FORM_LIMITS(.folder = "/nowhere");
    assert_int_equal(post_large("name=a; filename=b", 10), 500);

    getrlimit(RLIMIT_FSIZE, &size);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, size.rlim_max});
    limits = REEVE_FORM_LIMITS(.folder = folder);
    assert_int_equal(post_large("name=a; filename=b", 100000), 204);
    assert_int_equal(post_large("name=a; filename=b", 100001), 507);
    setrlimit(RLIMIT_FSIZE, &size);

    assert_int_equal(
        post(reads_form_with_one_descriptor, MULTIPART, two_files, sizeof two_files - 1), 503);
    assert_int_equal(before, count_descriptors());
}

/* Two parts, each saved in more than one way, and what came of it. */
static void note_save(const reeve_part *part, const char *name, unsigned flags)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (reeve_part_save(part, path, flags) == 0)
        note("%s;", name);
    else
        note("%s: %s;", name, strerrorname_np(errno));
}

static int saves(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_form *form;
    int status = reeve_form_read(environ, limits, &form);
    const reeve_part *file = reeve_form_next(form, NULL), *field = reeve_form_next(form, file);

    if (status != 0)
        return -1;
    note_save(file, "1", 0);
    note_save(file, "1", 0);
    note_save(file, "2", REEVE_SAVE_SYNC);
    note_save(field, "3", 0);
    note_save(field, "3", REEVE_SAVE_SYNC);
    note_save(field, "1", REEVE_SAVE_REPLACE);
    note_save(file, "3", REEVE_SAVE_REPLACE | REEVE_SAVE_SYNC);
    note_save(file, "none/1", 0);
    note_save(field, "none/1", REEVE_SAVE_REPLACE);
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

static void expect_file(const char *name, const char *want)
{
    char path[200], text[200] = "";
    struct stat status;
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_RDONLY);
    assert_int_not_equal(fd, -1);
    assert_true(read(fd, text, sizeof text - 1) >= 0);
    assert_string_equal(text, want);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_nlink, 1);
    close(fd);
    unlink(path);
}

static void expect_saved(const char *from)
{
    static const char body[] = UPLOAD("f", "x", "file") FIELD("a", "field") END;

    limits = REEVE_FORM_LIMITS(.folder = from);
    assert_int_equal(post(saves, MULTIPART, body, strlen(body)), 204);
    assert_string_equal(seen, "1;1: EEXIST;2;3;3: EEXIST;1;3;none/1: ENOENT;none/1: ENOENT;");
    assert_int_equal(count_entries(folder), 5); /* with . and .. */
    expect_file("1", "field");
    expect_file("2", "file");
    expect_file("3", "file");
}

static void a_part_is_saved_whole_or_not_at_all(void **state)
{
    struct stat here, there;
    unsigned before = count_descriptors();
    (void)state;

    expect_saved(folder);
    assert_int_equal(stat(folder, &here), 0);
    if (stat("/dev/shm", &there) == 0 && here.st_dev != there.st_dev)
        expect_saved("/dev/shm");                   /* another file system: by a copy */
    assert_true(count_descriptors() <= before + 1); /* the threads' own */
}

static int saves_too_much(reeve_environ *environ, reeve_start_response *start_response)
{
    struct rlimit size;
    reeve_form *form;

    if (reeve_form_read(environ, limits, &form) != 0)
        return -1;
    getrlimit(RLIMIT_FSIZE, &size);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, size.rlim_max});
    note_save(reeve_form_next(form, NULL), "1", 0);
    note_save(reeve_form_next(form, NULL), "1", REEVE_SAVE_REPLACE);
    setrlimit(RLIMIT_FSIZE, &size);
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

static void a_part_that_the_disk_has_no_room_for_leaves_nothing(void **state)
{
    char *body = large("name=a", 1001);
    (void)state;

    assert_int_equal(post(saves_too_much, MULTIPART, body, strlen(body)), 204);
    assert_string_equal(seen, "1: EFBIG;1: EFBIG;");
    assert_int_equal(count_entries(folder), 2);
    free(body);
}

static void a_client_that_hangs_up_leaves_nothing(void **state)
{
    const char *request =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: " MULTIPART "\r\n"
        "Content-Length: 100000\r\n\r\n" UPLOAD("a", "b", "c") UPLOAD("d", "e", "half of it");
    unsigned before = count_descriptors();
    (void)state;

    limits = REEVE_FORM_LIMITS(.folder = folder);
    the.descriptor.application = reads_form;
    app_case_connect(&the);
    app_case_send(&the, request, strlen(request));
    while (count_descriptors() < before + 4) /* the connection's and two files */
        app_case_turn(&the);
    app_case_hang_up(&the);
    while (the.room.net.conn_count > 0)
        event_base_loop(the.base, EVLOOP_ONCE);
    assert_int_equal(count_descriptors(), before);
}

static int names_safely(reeve_environ *environ, reeve_start_response *start_response)
{
    const reeve_part *part = NULL;
    reeve_form *form;

    if (reeve_form_read(environ, NULL, &form) != 0)
        return -1;
    while ((part = reeve_form_next(form, part)))
        note("%s;", reeve_part_safe_name(environ, part));
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

static void a_safe_name_leads_nowhere(void **state)
{
    static const char body[] = UPLOAD("a", "../../etc/passwd", "") UPLOAD("a", "C:\\x\\y z.txt", "")
        UPLOAD("a", "..", "") UPLOAD("a", ".bashrc", "") UPLOAD("a", "a/", "")
            UPLOAD("a", "<&\xe2\x82\xac>.x", "") END;
    char *long_one =
        large("name=a; filename=\"a0123456789012345678901234567890123456789012345678"
              "90123456789012345678901234567890123456789012345678901234567890.tar.gz\"",
              1);
    (void)state;

    assert_int_equal(post(names_safely, MULTIPART, body, strlen(body)), 204);
    assert_string_equal(seen, "passwd;y_z.txt;file;bashrc;file;______.x;");
    assert_int_equal(post(names_safely, MULTIPART, long_one, strlen(long_one)), 204);
    assert_int_equal(strlen(seen), 101);
    assert_string_equal(seen + 97, ".gz;");
    free(long_one);
}

/* ---- part by part ---- */

static size_t piece_size;
static bool is_skipping;

static int pulls(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_multipart *multipart;
    const reeve_part *part;
    int status = reeve_multipart_open(environ, limits, &multipart);
    char piece[64];
    size_t got;

    while (status == 0 && (status = reeve_multipart_next(multipart, &part)) == 0 && part) {
        note("%s:", reeve_part_name(part));
        while (!is_skipping &&
               (status = reeve_multipart_read(multipart, piece, piece_size, &got)) == 0 && got > 0)
            note("%.*s,", (int)got, piece);
        note(";");
    }
    if (status != 0)
        return reeve_form_refuse(environ, start_response, status);
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

static void parts_are_pulled_in_pieces(void **state)
{
    static const char body[] = FIELD("a", "12345") FIELD("b", "") FIELD("c", "1\r\n") END;
    (void)state;

    piece_size = 64;
    assert_int_equal(post(pulls, MULTIPART, body, strlen(body)), 204);
    assert_string_equal(seen, "a:12345,;b:;c:1\r\n,;");
    piece_size = 2;
    assert_int_equal(post(pulls, MULTIPART, body, strlen(body)), 204);
    assert_string_equal(seen, "a:12,34,5,;b:;c:1\r,\n,;");
    is_skipping = true;
    assert_int_equal(post(pulls, MULTIPART, body, strlen(body)), 204);
    assert_string_equal(seen, "a:;b:;c:;");
    is_skipping = false;
    assert_int_equal(post(pulls, MULTIPART, body, strlen(body) - 6), 400);
    assert_int_equal(post(pulls, "application/x-www-form-urlencoded", body, strlen(body)), 415);
    limits = REEVE_FORM_LIMITS(.max_fields = 2);
    assert_int_equal(post(pulls, MULTIPART, body, strlen(body)), 413);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_fields_of_a_query_are_read),
        TEST(a_malformed_query_is_refused),
        TEST(a_urlencoded_body_is_read),
        TEST(a_urlencoded_body_has_limits),
        TEST(a_body_of_unknown_length_has_the_same_limits),
        TEST(fields_stay_in_memory_and_files_do_not),
        TEST(what_is_too_large_for_memory_goes_to_a_file),
        TEST(a_form_has_limits),
        TEST(a_malformed_form_is_refused),
        TEST(what_goes_wrong_with_a_file_is_told_apart),
        TEST(a_part_is_saved_whole_or_not_at_all),
        TEST(a_part_that_the_disk_has_no_room_for_leaves_nothing),
        TEST(a_client_that_hangs_up_leaves_nothing),
        TEST(a_safe_name_leads_nowhere),
        TEST(parts_are_pulled_in_pieces),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
