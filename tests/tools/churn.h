/* SPDX-License-Identifier: MIT */
#pragma once

/* The command line of churn. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NSEC_PER_SEC UINT64_C(1000000000)

struct address {
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        };
        socklen_t size;
};

struct options {
        struct address peer; /* of a server: its own */
        struct address local;
        bool has_local;
        bool mapped;
        bool read_eof;
        bool close_first;
        bool keepalive;
        bool reuse_address, bind_no_port;
        uint64_t server_closes; /* percent */
        uint64_t seconds;       /* 0: no limit, as for the next two */
        uint64_t rate;
        uint64_t count;
        uint64_t step; /* ms between two lines of a client; 0: a second, and no latency */
};

/* What stands after the command's name, which is argv[0]. What is wrong ends the program. */
struct options churn_options(int argc, char *argv[]);

/* Says how churn is used, and ends it. */
_Noreturn void churn_usage(void);
