/* json_depth.c: see json_depth.h. */
#include "base/json_depth.h"

bool json_is_shallow(const char *text, int most)
{
    int depth = 0;
    bool is_quoted = false;

    for (; *text != '\0' && depth <= most; text++) {
        if (is_quoted && *text == '\\' && text[1] != '\0')
            text++;
        else if (*text == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && (*text == '{' || *text == '['))
            depth++;
        else if (!is_quoted && (*text == '}' || *text == ']'))
            depth--;
    }
    return depth <= most;
}
