/* vigil.c: see vigil.h. */
#include "master/vigil.h"

void vigil_look(struct vigil *vigil, uint64_t now, uint64_t most)
{
    uint64_t passed = vigil->looked_at != 0 ? now - vigil->looked_at : 0;

    vigil->now += passed < most ? passed : most;
    vigil->looked_at = now;
}

uint64_t vigil_silence(const struct vigil *vigil, struct silence *silence, uint64_t beat)
{
    if (beat != silence->beat) {
        silence->beat = beat;
        silence->since = vigil->now;
    }
    return vigil->now - silence->since;
}

void vigil_excuse(const struct vigil *vigil, struct silence *silence)
{
    silence->since = vigil->now;
}
