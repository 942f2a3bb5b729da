/* report_flights.h: requests of the flight recorder, and places in code, as JSON. */
#ifndef MASTER_REPORT_FLIGHTS_H
#define MASTER_REPORT_FLIGHTS_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/flight.h"
#include "master/evidence.h"
#include "master/symbols.h"

struct master;
struct report_source;

/* Without the place where it waits, which report_site adds. Ages are those at `now`. */
cJSON *report_flight(const struct master *master, const struct flight *flight, uint64_t now);
void report_site(cJSON *flight, const char *site);

/* The frames, each function of its own, with what is repeated told once; `named` has an entry for
 * each of the evidence's places, or is NULL. */
cJSON *report_backtrace(const struct master *master, const struct evidence *evidence,
                        const struct symbols *named);
/* "slow (trouble.c:40)", to be freed; where nothing is known, the offset. */
char *report_symbol(const struct symbols *symbols, uint64_t offset);

void report_put_symbol(cJSON *json, const struct symbol *symbol);

/* "id": of a request. */
void report_put_id(cJSON *json, uint64_t id);
/* "?" when nobody has that column. */
const char *report_app_name(const struct master *master, uint64_t app);
/* The file that people know a build by: "hello.so". */
void report_module(const struct master *master, const struct build *build, char *name_out,
                   size_t size);

#define REPORT_FLIGHTS 1000u /* in flight, in an answer; the others are counted */

/* "in_flight", "ended" and "unrecorded" of one slot, and what is known of the worker in it; NULL
 * when it was never filled. The places where requests wait are still to be added (report_site), by
 * what is in `flights_out`: its first ones, in the same order. It is to be freed in any case. */
cJSON *report_worker(struct master *master, const struct report_source *from, unsigned id,
                     struct flight_list *flights_out);

#endif
