/* succession.h: what one image of the master leaves to the next: a document, as JSON in a memfd.
 * The former image fills it in (bequest.c), the new one finds everything in it (heir.c).
 *
 * Only plain values and numbers of descriptors are in here. A field that is not there is zero, one
 * that is not known is left out of account: so what is added later needs no other format. */
#ifndef MASTER_SUCCESSION_H
#define MASTER_SUCCESSION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* To be raised when a field changes its meaning: images that disagree do not follow each other. */
#define SUCCESSION_FORMAT 1

struct succession_listener { /* struct listeners_inherited */
    int fd;
    char *name, *address;
    bool is_ours;
};

struct succession_bell { /* of a slot: base/bell.h */
    int fd;
};

struct succession_build {
    int app; /* column */
    uint64_t generation;
    char *path, *version, *build_id;
};

struct succession_app { /* a column of the catalog */
    char *name;
    char *module; /* as the configuration in force has it; NULL: it has no such app */
    int current;  /* which of the builds; -1: none */
    uint64_t last;
};

struct succession_hold {
    int worker; /* which of the workers */
    int build;  /* which of the builds */
    int state;  /* enum hold_state */
    uint64_t asked_at;
};

struct succession_worker { /* struct worker */
    int id, pid, state, link, status, hang_state;
    uint64_t incarnation, spawned_at, ready_at, drained_at, drain_limit, suspected_at;
    uint64_t due_in; /* ns until its timer fires; 0: it is not armed */
    bool is_extra, is_current, was_ready, is_asked, is_replaced, has_lost_connections, is_reaped,
        is_late, is_hung, has_answered;
    char *refusal, *hang;
};

struct succession {
    int format, protocol; /* SUCCESSION_FORMAT, CHANNEL_PROTOCOL */
    int pid;              /* the process's, which stays */
    char *version;        /* of the former image */
    char *nonce;          /* what proves an answer to be one to this document */

    /* What of the configuration cannot change: as config_compare wants it. */
    bool is_max_workers_auto, is_control_auto, is_state_dir_auto;
    int workers, max_workers, max_apps, pubsub_ring;
    char *control, *state_dir, *pid_file;

    char *folder; /* of home; NULL: none */
    int lock;
    bool is_private, has_pid_file;

    int board_fd;
    int control_fd; /* -1: there is no control socket */
    uint64_t control_device, control_inode;

    uint64_t deploy, began_wall, began_at; /* the action that this is */
    char *action;
    bool is_peer;
    uint64_t peer_uid, peer_pid;
    char *signal;

    int target, held_back, owed, failures, brief; /* of the pool */
    uint64_t retry_in, until;
    bool was_ready;
    int start_failures; /* those that are shown */
    char *last_failure;

    struct succession_listener *listeners;
    size_t listener_count;
    struct succession_bell *bells; /* by slot */
    size_t bell_count;
    struct succession_app *apps; /* by column */
    size_t app_count;
    struct succession_build *builds;
    size_t build_count;
    struct succession_worker *crew;
    size_t worker_count;
    struct succession_hold *holds;
    size_t hold_count;
    cJSON *receipts; /* those of the history */
};

/* Writes it into a new memfd. The descriptor (close-on-exec), or -1 with errno. */
int succession_write(const struct succession *succession);
/* What is in a document; with `succession` all zeros before. 0, or -1 with a sentence when it is
 * none, or not of this format. Every index in it is good. */
int succession_read(int fd, struct succession *succession, char **error_out);
/* Everything that it refers to; succession_write's texts have to be its own, too. */
void succession_fini(struct succession *succession);

#endif
