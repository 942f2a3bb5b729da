/* chars.c: the table of byte classes; what is not named in it is allowed nowhere. */
#include "http/chars.h"

#define TEXT  CHAR_TEXT
#define TOKEN (CHAR_TOKEN | CHAR_TEXT)
#define PATH  (CHAR_TARGET | CHAR_TEXT)
#define DELIM (CHAR_TARGET | CHAR_REG_NAME | CHAR_TEXT) /* sub-delims that are no tchar */
#define NAME  (CHAR_TOKEN | CHAR_TARGET | CHAR_REG_NAME | CHAR_TEXT)
#define HEX   (NAME | CHAR_HEX)

/* clang-format off */
const uint8_t char_classes[256] = {
    ['\t'] = TEXT, [' '] = TEXT, ['"'] = TEXT, ['<'] = TEXT, ['>'] = TEXT, ['['] = TEXT,
    ['\\'] = TEXT, [']'] = TEXT, ['{'] = TEXT, ['}'] = TEXT, [0x80 ... 0xff] = TEXT,
    ['#'] = TOKEN, ['%'] = TOKEN, ['^'] = TOKEN, ['`'] = TOKEN, ['|'] = TOKEN,
    ['/'] = PATH, [':'] = PATH, ['?'] = PATH, ['@'] = PATH,
    ['('] = DELIM, [')'] = DELIM, [','] = DELIM, [';'] = DELIM, ['='] = DELIM,
    ['!'] = NAME, ['$'] = NAME, ['&'] = NAME, ['\''] = NAME, ['*'] = NAME, ['+'] = NAME,
    ['-'] = NAME, ['.'] = NAME, ['_'] = NAME, ['~'] = NAME,
    ['g' ... 'z'] = NAME, ['G' ... 'Z'] = NAME,
    ['0' ... '9'] = HEX, ['a' ... 'f'] = HEX, ['A' ... 'F'] = HEX,
};
/* clang-format on */

bool char_is_token(const char *data, size_t length)
{
    /* No early exit: a name is short and nearly always good, so a branch a byte costs more. */
    unsigned all = length ? CHAR_TOKEN : 0;
    for (size_t i = 0; i < length; i++)
        all &= char_classes[(unsigned char)data[i]];
    return all != 0;
}
