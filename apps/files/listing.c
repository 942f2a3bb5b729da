/* listing.c: a folder's contents as a page of links. Plain HTML: no sizes, no dates, no style. */
#include "listing.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "beneath.h"
#include "escape.h"

static int write_text(reeve_environ *environ, const char *text)
{
    return text == NULL ? -1 : reeve_write(environ, text, strlen(text));
}

/* "./" before it keeps a name with a colon from being taken for a scheme. */
static int write_link(reeve_environ *environ, const struct dirent *entry)
{
    const char *slash = entry->d_type == DT_DIR ? "/" : "";
    const char *url = escape_url(environ, entry->d_name);
    const char *html = escape_html(environ, entry->d_name);

    if (url == NULL || html == NULL)
        return -1;
    return write_text(environ, reeve_printf(environ, "<li><a href=\"./%s%s\">%s%s</a></li>\n", url,
                                            slash, html, slash));
}

static bool is_shown(const char *name, bool has_dotfiles)
{
    if (name[0] != '.')
        return true;
    return has_dotfiles && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int listing_read(struct listing *listing, int root, const char *path, bool has_dotfiles)
{
    *listing = (struct listing){.has_dotfiles = has_dotfiles};
    listing->count = scan_beneath(root, path[0] == '\0' ? "." : path, &listing->entries);
    return listing->count < 0 ? -1 : 0;
}

int listing_write(const struct listing *listing, reeve_environ *environ)
{
    int result = write_text(environ, "<!DOCTYPE html>\n<title>Index</title>\n<ul>\n"
                                     "<li><a href=\"../\">../</a></li>\n");

    for (int i = 0; i < listing->count && result == 0; i++)
        if (is_shown(listing->entries[i]->d_name, listing->has_dotfiles))
            result = write_link(environ, listing->entries[i]);
    return result == 0 ? write_text(environ, "</ul>\n") : result;
}

void listing_fini(struct listing *listing)
{
    while (listing->count > 0)
        free(listing->entries[--listing->count]);
    free(listing->entries);
}
