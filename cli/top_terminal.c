/* top_terminal.c: takes the terminal for ncurses, and gives it back. */
#define NCURSES_NOMACROS 1
#include <curses.h>
#include <locale.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

#include "human.h"
#include "top_view.h"

static SCREEN *screen;

static void set_colours(void)
{
    const char *no_color = getenv("NO_COLOR");

    if (!has_colors() || (no_color != NULL && no_color[0] != '\0') || start_color() != OK)
        return;
    use_default_colors();
    init_pair(COLOUR_RED, COLOR_RED, -1);
    init_pair(COLOUR_GREEN, COLOR_GREEN, -1);
    init_pair(COLOUR_YELLOW, COLOR_YELLOW, -1);
}

const char *top_terminal_open(void)
{
    int error;

    setlocale(LC_CTYPE, "");
    if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
        return error == 0 ? "TERM names no terminal that is known here"
                          : "there are no descriptions of terminals here (ncurses-base)";
    if (cursor_address == NULL) {
        del_curterm(cur_term);
        return "a terminal such as TERM names cannot show a full screen";
    }
    del_curterm(cur_term); /* newterm looks for itself */
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        return "the terminal cannot be used";
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    set_colours();
    return NULL;
}

void top_terminal_close(void)
{
    if (screen == NULL)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
}
