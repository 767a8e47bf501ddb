/* SPDX-License-Identifier: MIT */
#pragma once

/* What programs and peers do to a host, second by second: generated, from a seed. */

#include <stdbool.h>
#include <stdint.h>

#include "../unit/random.h"

/* Where connections go. Each is another case of tcp_twsk_unique() and of connect(). */
enum destination_id {
        TO_LOOPBACK,
        TO_PEER,
        TO_OTHER_PEER,
        TO_OLD_PEER,   /* has no TCP timestamps: none of its TIME_WAIT can be reused */
        TO_BOUND_PEER, /* the program binds before it connects */
        TO_DEAD_PEER,  /* does not answer */

        /* Where strangers connect on the same host: nothing of that is about the destinations above. They have other
         * source addresses and random numbers of their own, so the rest of the host is the same without them. */
        TO_STRANGERS,
        TO_STRANGE_LOOPBACK = TO_STRANGERS,
        TO_STRANGE_SERVICE, /* on loopback as well */
        TO_STRANGE_PEER,
        TO_NOWHERE, /* does not answer */
        DESTINATIONS,
};

/* Levels and rates that last until the next load. Rates are a second. */
struct load {
        double connects[DESTINATIONS]; /* opened here, and closed here at once */
        unsigned held[DESTINATIONS];   /* connections kept open; when it falls, those are closed here */
        double server_closes;          /* connections from elsewhere, closed here first */
        double vanished, half_closed;  /* closed here while the peer is gone; or does not close */
        double dead_peers;             /* idle connections with keepalive whose peer is gone */
        double syns;                   /* that no ACK follows */
        double arrivals, accepts;      /* of a listener */
        double leaks;                  /* closed by the peer and never by the program */
        double syn_loss, resets;       /* of each connect() */
        double early_resets;           /* of each reuse within a second */
        double reuse_waits;            /* of each reuse: its first SYN is not answered, the second one is */
        double scans;                  /* SYNs to closed ports: each is answered by a RST */
        unsigned fin_wait2;            /* closed here, kept by the program */
        double memory, conntrack;      /* percent */
        double insert_failed;
};

/* A story of loads: storms, pools that are dropped, leaks, quiet hours. */
struct story {
        struct random *random;
        unsigned ports; /* usable toward one destination: what loads are measured against */
        struct load load;
        unsigned left;    /* seconds until the next load */
        bool quiet;       /* nothing happens: every other time */
        bool constant;    /* the load does not change until then */
        unsigned on, off; /* a load that comes and goes with these periods; 0: it does not */
        struct load base;
};

void story_begin(struct story *story, struct random *random, unsigned ports);

/* The load of the next second. Returns whether it is another one than before. */
bool story_next(struct story *story);
