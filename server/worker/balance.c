/* balance.c: see balance.h. A connection counts once while it is open and once more while a request
 * of its runs. */
#include "worker/balance.h"

#include <stdbool.h>

#include "base/board.h"
#include "base/clock.h"

/* More than the least busy one may have: else two that are alike would pass connections to and
 * fro. */
#define SLACK 2
/* One that had no heartbeat for so long may hang: what is left to it would wait. */
#define SILENCE (1500 * NS_PER_MS)

static uint64_t load_of(const struct board *board, unsigned id)
{
    return board_connections(board, id) + board_get(&board_slot(board, id)->active);
}

static bool is_accepting(const struct board *board, unsigned id, uint64_t now)
{
    const struct board_slot *slot = board_slot(board, id);

    return board_get(&slot->is_accepting) && now < board_get(&slot->heartbeat_at) + SILENCE;
}

/* The lowest free slot is filled first, so behind one that nobody ever had there are none. */
static bool was_ever_filled(const struct board *board, unsigned id)
{
    return board_get(&board_seat(board, id)->incarnation) != 0;
}

unsigned balance_share(const struct board *board, unsigned id, uint64_t now)
{
    uint64_t least = UINT64_MAX, own = load_of(board, id), limit;

    for (unsigned i = 0; i < board->max_workers && was_ever_filled(board, i); i++) {
        if (i != id && board_get(&board_seat(board, i)->state) == SEAT_SERVING &&
            is_accepting(board, i, now)) {
            uint64_t load = load_of(board, i);

            least = load < least ? load : least;
        }
    }
    if (least > UINT64_MAX - least / 8 - SLACK) /* nobody else */
        return UINT32_MAX;
    limit = least + least / 8 + SLACK;
    return own >= limit ? 0 : (unsigned)(limit - own);
}
