/* SPDX-License-Identifier: MIT */

/* metrics-http ADDRESS:PORT DIRECTORY: serves the metrics files of a directory over HTTP. The supervisor of
 * --all-netns starts it, and writes a byte to its standard input every second. It is a program of its own, so that no
 * process with a capability reads what comes from a network, and because the HTTP library takes memory that 250
 * daemons do not need. */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <microhttpd.h>

#include "daemon/audit/json_log.h"
#include "daemon/confine.h"
#include "daemon/http/collect.h"
#include "daemon/now.h"
#include "daemon/privilege.h"
#include "lib/util/listen_address.h"
#include "lib/util/macro.h"

#define CONNECTIONS_MAX 16u
#define IDLE_S 10u                  /* a connection that is idle for so long is closed */
#define REQUEST_MEMORY 8192u        /* bytes for each connection, for the headers of its request and the answer */
#define ALIVE_US UINT64_C(10000000) /* the supervisor counts as stuck if it sends no byte for so long */
#define FRESH_US UINT64_C(1000000)  /* requests within this time get the same answer */

struct server {
        const char *directory;
        uint64_t beat_at;
        struct MHD_Response *metrics; /* the last answer; NULL: none yet */
        uint64_t made_at;
};

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
        struct MHD_Response *response =
                MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
        enum MHD_Result r = response ? MHD_queue_response(connection, status, response) : MHD_NO;

        if (response)
                MHD_destroy_response(response);
        return r;
}

/* Requests within FRESH_US share one answer, which bounds the memory. */
static enum MHD_Result answer_metrics(struct server *s, struct MHD_Connection *connection)
{
        uint64_t now = now_monotonic_us();
        size_t size;
        char *text;

        if (s->metrics && now - s->made_at >= FRESH_US) {
                MHD_destroy_response(s->metrics);
                s->metrics = NULL;
        }
        if (!s->metrics && (text = collect_metrics(s->directory, &size))) {
                s->metrics = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
                s->made_at = now;
                if (s->metrics)
                        MHD_add_response_header(s->metrics, MHD_HTTP_HEADER_CONTENT_TYPE,
                                                "text/plain; version=0.0.4; charset=utf-8");
                else
                        free(text);
        }
        if (!s->metrics)
                return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "cannot read the metrics\n");
        return MHD_queue_response(connection, MHD_HTTP_OK, s->metrics);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_size, void **state)
{
        static char begun;
        struct server *s = user;
        bool alive = now_monotonic_us() - s->beat_at < ALIVE_US;

        (void)version, (void)data;
        if (!*state) { /* the headers are there; the next call has the body */
                *state = &begun;
                return MHD_YES;
        }
        if (*data_size > 0)
                return MHD_NO;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
                return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
        if (strcmp(url, "/metrics") == 0)
                return answer_metrics(s, connection);
        if (strcmp(url, "/healthz") == 0)
                return answer_text(connection, alive ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                                   alive ? "ok\n" : "the supervisor has given no sign of life for 10 s\n");
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "not found; there are /metrics and /healthz\n");
}

static struct MHD_Daemon *listen_at(struct server *s, const char *where)
{
        struct sockaddr_storage address;
        socklen_t size;

        if (listen_address_parse(where, &address, &size) < 0) {
                errno = EINVAL;
                return NULL;
        }
        return MHD_start_daemon(MHD_USE_EPOLL | (address.ss_family == AF_INET6 ? MHD_USE_DUAL_STACK : 0), 0, NULL,
                                NULL, on_request, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                                MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
                                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MEMORY,
                                MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
}

/* Serves until standard input ends: the supervisor, which has the other end of the pipe, is gone. Returns the exit
 * status. */
static int serve(struct server *s, struct MHD_Daemon *http)
{
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(http, MHD_DAEMON_INFO_EPOLL_FD);
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = info ? info->epoll_fd : -1, .events = POLLIN}};
        char beats[64];

        for (;;) {
                MHD_UNSIGNED_LONG_LONG timeout;
                int wait = MHD_get_timeout(http, &timeout) == MHD_YES ? (int)MIN(timeout, 60000ULL) : -1;

                int n = poll(fds, ELEMENTSOF(fds), wait);

                if (n < 0 && errno != EINTR)
                        return EX_OSERR;
                if (n > 0 && fds[0].revents != 0) {
                        if (read(STDIN_FILENO, beats, sizeof(beats)) <= 0)
                                return 0;
                        s->beat_at = now_monotonic_us();
                }
                MHD_run(http);
        }
}

/* Prints the error of the first failure only: the supervisor sets TWTUNED_REFUSED to the number of failures before.
 * error 0: unknown, as libmicrohttpd documents no errno. */
static int cannot(const char *what, int error)
{
        const char *before = getenv("TWTUNED_REFUSED");

        if (!before || strcmp(before, "0") == 0)
                fprintf(stderr, "twtuned: metrics_listen: cannot %s: %s\n", what,
                        error ? strerror(error) : "libmicrohttpd does not say why");
        return EX_TEMPFAIL;
}

int main(int argc, char **argv)
{
        struct server server = {.beat_at = now_monotonic_us()};
        struct MHD_Daemon *http;
        int r;

        if (argc != 3) {
                fputs("usage: metrics-http ADDRESS:PORT DIRECTORY\n", stderr);
                return EX_USAGE;
        }
        server.directory = argv[2];
        if (getenv("TWTUNED_JSON"))
                json_log_begin();
        errno = 0;
        http = listen_at(&server, argv[1]);
        if (!http)
                return cannot("listen", errno);
        r = privilege_keep(0);
        if (r == 0)
                r = confine_to_reading(server.directory);
        if (r < 0)
                return cannot("give up its privileges", -r);
        r = serve(&server, http);
        MHD_stop_daemon(http);
        if (server.metrics)
                MHD_destroy_response(server.metrics);
        return r;
}
