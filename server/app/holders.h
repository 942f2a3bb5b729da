/* holders.h: shows on the scoreboard what keeps the generations loaded that take no new requests.
 */
#ifndef APP_HOLDERS_H
#define APP_HOLDERS_H

struct app;
struct room;

/* Counts anew, by kind, call and place. Cheap when there is nothing to show. For the loop's stack.
 */
void holders_show(struct app *app);
void holders_show_all(struct room *room);

#endif
