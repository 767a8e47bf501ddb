/* SPDX-License-Identifier: MIT */
#include "churn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
        "usage: churn server ADDR PORT [--close-first]\n"
        "       churn client ADDR PORT [--seconds=S] [--rate=N] [--count=N]\n"
        "                              [--mapped] [--bind=ADDR [--reuse-address] [--bind-no-port]]\n"
        "                              [--read-eof] [--server-closes=PERCENT] [--step=MS]\n"
        "       churn hold ADDR PORT --count=N [--seconds=S] [--mapped] [--bind=ADDR]\n"
        "                              [--keepalive]\n"
        "\n"
        "server  accepts, and closes a connection when its peer has closed or sent something;\n"
        "        --close-first: closes at once, so TIME_WAIT stays on the server\n"
        "client  opens and at once closes connections, one after the other; prints\n"
        "        SECOND CONNECTS FAILURES each second, at the end: total CONNECTS FAILURES\n"
        "        --rate=N      N a second, 0 (the default): as fast as it can\n"
        "        --mapped      from an AF_INET6 socket to ::ffff:ADDR\n"
        "        --bind=ADDR   bind(ADDR, port 0) before connect()\n"
        "        --reuse-address, --bind-no-port: with SO_REUSEADDR, with IP_BIND_ADDRESS_NO_PORT\n"
        "        --read-eof    let the server close first, which has --close-first\n"
        "        --server-closes=PERCENT: let it close first so many of a hundred connections\n"
        "        --step=MS     a line each MS instead of each second, and before the total: latency P50 P99 MAX,\n"
        "                      microseconds that a socket(), bind() and connect() took\n"
        "hold    opens N connections, prints: holding N, and keeps them until SIGTERM\n"
        "        --keepalive   with SO_KEEPALIVE\n";

_Noreturn void churn_usage(void)
{
        fputs(usage, stderr);
        exit(2);
}

static struct address parse_address(const char *text, uint16_t port, bool mapped)
{
        struct address a = {.size = 0};
        char buffer[INET6_ADDRSTRLEN + sizeof("::ffff:")];

        if (mapped) {
                snprintf(buffer, sizeof(buffer), "::ffff:%s", text);
                text = buffer;
        }
        if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
                a.in.sin_family = AF_INET;
                a.in.sin_port = htons(port);
                a.size = sizeof(a.in);
        } else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1) {
                a.in6.sin6_family = AF_INET6;
                a.in6.sin6_port = htons(port);
                a.size = sizeof(a.in6);
        } else {
                fprintf(stderr, "churn: not an address: %s\n", text);
                exit(2);
        }
        return a;
}

static uint64_t parse_number(const char *text, uint64_t max)
{
        char *end;
        uint64_t n;

        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || n > max) {
                fprintf(stderr, "churn: not a number up to %" PRIu64 ": %s\n", max, text);
                exit(2);
        }
        return n;
}

struct options churn_options(int argc, char *argv[])
{
        static const struct option longopts[] = {
                {"seconds", required_argument, NULL, 's'},
                {"rate", required_argument, NULL, 'r'},
                {"count", required_argument, NULL, 'c'},
                {"bind", required_argument, NULL, 'b'},
                {"mapped", no_argument, NULL, 'm'},
                {"read-eof", no_argument, NULL, 'e'},
                {"close-first", no_argument, NULL, 'f'},
                {"keepalive", no_argument, NULL, 'k'},
                {"reuse-address", no_argument, NULL, 'a'},
                {"bind-no-port", no_argument, NULL, 'n'},
                {"server-closes", required_argument, NULL, 'p'},
                {"step", required_argument, NULL, 't'},
                {0},
        };
        struct options o = {.mapped = false};
        const char *local = NULL;
        int c;

        while ((c = getopt_long(argc, argv, "", longopts, NULL)) >= 0)
                switch (c) {
                case 's':
                        o.seconds = parse_number(optarg, UINT32_MAX);
                        break;
                case 'r':
                        o.rate = parse_number(optarg, NSEC_PER_SEC);
                        break;
                case 'c':
                        o.count = parse_number(optarg, UINT32_MAX);
                        break;
                case 'b':
                        local = optarg;
                        break;
                case 'k':
                        o.keepalive = true;
                        break;
                case 'a':
                        o.reuse_address = true;
                        break;
                case 'n':
                        o.bind_no_port = true;
                        break;
                case 'p':
                        o.server_closes = parse_number(optarg, 100);
                        break;
                case 't':
                        o.step = parse_number(optarg, UINT32_MAX);
                        break;
                case 'm':
                        o.mapped = true;
                        break;
                case 'e':
                        o.read_eof = true;
                        break;
                case 'f':
                        o.close_first = true;
                        break;
                default:
                        churn_usage();
                }
        if (argc - optind != 2)
                churn_usage();
        o.peer = parse_address(argv[optind], (uint16_t)parse_number(argv[optind + 1], UINT16_MAX), o.mapped);
        if (local) {
                o.local = parse_address(local, 0, o.mapped);
                o.has_local = true;
        }
        return o;
}
