/* conditions.c: entity-tags, dates and preconditions (RFC 9110 sections 5.6.7, 8.8 and 13). A
 * header that cannot be understood never makes a client keep something stale: it counts as missing
 * or as no match. */
#include "conditions.h"

#include <string.h>

/* ---- entity-tags ---- */

struct etag {
    const char *quoted; /* from quote to quote, without the W/ */
    size_t length;
    bool is_weak;
};

/* etagc of section 8.8.3: anything visible but the quote, and bytes above ASCII. */
static bool is_etag_byte(char c)
{
    unsigned char byte = (unsigned char)c;

    return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

/* [W/]"…" at *text, which moves behind it; it stays when there is none. */
static bool read_etag(const char **text, struct etag *etag_out)
{
    bool is_weak = strncmp(*text, "W/", 2) == 0; /* case-sensitive */
    const char *quoted = is_weak ? *text + 2 : *text;
    const char *end = quoted + 1;

    if (*quoted != '"')
        return false;
    while (is_etag_byte(*end))
        end++;
    if (*end++ != '"')
        return false;
    *etag_out = (struct etag){quoted, (size_t)(end - quoted), is_weak};
    *text = end;
    return true;
}

static bool etag_equals(const struct etag *theirs, const char *ours, bool is_strong)
{
    return !(is_strong && theirs->is_weak) && theirs->length == strlen(ours) &&
           memcmp(theirs->quoted, ours, theirs->length) == 0;
}

bool etag_list_has(const char *list, const char *etag, bool is_strong)
{
    struct etag theirs;

    if (strcmp(list, "*") == 0)
        return true;
    while (list += strspn(list, " \t,"), read_etag(&list, &theirs)) {
        if (etag_equals(&theirs, etag, is_strong))
            return true;
        list += strspn(list, " \t");
        if (*list != ',')
            return false;
    }
    return false;
}

/* ---- dates ---- */

static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int year, month, day, hour, minute, second; /* month from 0 */
    bool has_short_year;
};

static bool read_digits(const char **text, int count, int *number_out)
{
    int number = 0;

    while (count-- > 0) {
        if (**text < '0' || **text > '9')
            return false;
        number = number * 10 + *(*text)++ - '0';
    }
    *number_out = number;
    return true;
}

static bool read_day_name(const char **text, bool is_short)
{
    for (size_t i = 0; i < 7; i++) {
        size_t length = is_short ? 3 : strlen(day_names[i]);

        if (strncmp(*text, day_names[i], length) == 0) {
            *text += length;
            return true;
        }
    }
    return false;
}

static bool read_month(const char **text, int *month_out)
{
    for (int i = 0; i < 12; i++)
        if (strncmp(*text, month_names[i], 3) == 0) {
            *text += 3;
            *month_out = i;
            return true;
        }
    return false;
}

/* asctime pads the day with a space. */
static bool read_padded_day(const char **text, int *day_out)
{
    bool is_padded = **text == ' ';

    if (is_padded)
        ++*text;
    return read_digits(text, is_padded ? 1 : 2, day_out);
}

/* The letters of strptime, which itself would accept too much and depend on the locale. */
static bool read_field(char letter, const char **text, struct date *date)
{
    switch (letter) {
    case 'a':
        return read_day_name(text, true);
    case 'A':
        return read_day_name(text, false);
    case 'b':
        return read_month(text, &date->month);
    case 'd':
        return read_digits(text, 2, &date->day);
    case 'e':
        return read_padded_day(text, &date->day);
    case 'Y':
        return read_digits(text, 4, &date->year);
    case 'y':
        date->has_short_year = true;
        return read_digits(text, 2, &date->year);
    case 'H':
        return read_digits(text, 2, &date->hour);
    case 'M':
        return read_digits(text, 2, &date->minute);
    case 'S':
        return read_digits(text, 2, &date->second);
    default:
        return false;
    }
}

static bool read_date(const char *format, const char *text, struct date *date_out)
{
    *date_out = (struct date){0};
    for (; *format != '\0'; format++)
        if (*format == '%') {
            if (!read_field(*++format, &text, date_out))
                return false;
        } else if (*format != *text++) {
            return false;
        }
    return *text == '\0';
}

/* A day that the month does not have is moved by timegm, which gives it away. */
static bool date_to_time(const struct date *date, time_t *time_out)
{
    struct tm tm = {.tm_year = date->year - 1900, .tm_mon = date->month, .tm_mday = date->day};
    time_t midnight = timegm(&tm);

    if (tm.tm_mday != date->day || tm.tm_mon != date->month)
        return false;
    if (date->hour > 23 || date->minute > 59 || date->second > 60) /* 60: a leap second */
        return false;
    *time_out = midnight + date->hour * 3600 + date->minute * 60 + date->second;
    return true;
}

/* Section 5.6.7: what seems to be more than 50 years ahead is of the century before. */
static int full_year(int year, time_t now)
{
    struct tm tm;
    int this_year = gmtime_r(&now, &tm) == NULL ? 1970 : tm.tm_year + 1900;

    year += this_year - this_year % 100;
    return year > this_year + 50 ? year - 100 : year;
}

bool date_parse(const char *text, time_t now, time_t *date_out)
{
    static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
                                          "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
                                          "%a %b %e %H:%M:%S %Y"};     /* asctime */
    struct date date;

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (read_date(formats[i], text, &date)) {
            if (date.has_short_year)
                date.year = full_year(date.year, now);
            return date_to_time(&date, date_out);
        }
    return false;
}

void date_format(time_t date, char text_out[DATE_SIZE])
{
    struct tm tm;

    gmtime_r(&date, &tm);
    strftime(text_out, DATE_SIZE, "Day, %d Mon %Y %H:%M:%S GMT", &tm);
    memcpy(text_out, day_names[tm.tm_wday], 3); /* strftime's own names depend on the locale */
    memcpy(text_out + 8, month_names[tm.tm_mon], 3);
}

/* ---- preconditions ---- */

/* False also for a missing or malformed date, which is to be ignored: sections 13.1.3 and
 * 13.1.4. */
static bool is_modified_since(const char *date_text, const struct validators *file, time_t now)
{
    time_t date;

    return date_text != NULL && date_parse(date_text, now, &date) && file->modified > date;
}

static bool is_unmodified_since(const char *date_text, const struct validators *file, time_t now)
{
    time_t date;

    return date_text != NULL && date_parse(date_text, now, &date) && file->modified <= date;
}

enum condition_verdict conditions_check(const struct conditions *conditions,
                                        const struct validators *file)
{
    if (conditions->if_match != NULL) {
        if (!etag_list_has(conditions->if_match, file->etag, true))
            return CONDITION_FAILED;
    } else if (is_modified_since(conditions->if_unmodified_since, file, conditions->now)) {
        return CONDITION_FAILED;
    }

    if (conditions->if_none_match != NULL) {
        if (etag_list_has(conditions->if_none_match, file->etag, false))
            return CONDITION_NOT_MODIFIED;
    } else if (is_unmodified_since(conditions->if_modified_since, file, conditions->now)) {
        return CONDITION_NOT_MODIFIED;
    }
    return CONDITION_HOLDS;
}

bool if_range_holds(const char *if_range, const struct validators *file, time_t now)
{
    struct etag etag;
    time_t date;

    if (read_etag(&if_range, &etag))
        return *if_range == '\0' && etag_equals(&etag, file->etag, true);
    return date_parse(if_range, now, &date) && date == file->modified; /* exactly */
}
