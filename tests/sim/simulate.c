/* SPDX-License-Identifier: MIT */
/* simulate CONFIG [PORTS]: the daemon's tick() under a load that was seen elsewhere. stdin, a line for what came
 * before each tick:
 *
 * SECONDS [RATE DESTINATION...]
 *
 * DESTINATION is loopback, peer, other-peer or old-peer (one without TCP timestamps). Stock sysctls, but with PORTS
 * ephemeral ports (default: 28232). Prints what is decided: TICK KIND RULE SYSCTL (the first tick is 1). */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "sim_backend.h"

#define STOCK_PORTS 28232u

static const char *const names[] = {
        [TO_LOOPBACK] = "loopback",
        [TO_PEER] = "peer",
        [TO_OTHER_PEER] = "other-peer",
        [TO_OLD_PEER] = "old-peer",
};

static unsigned find_destination(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(names[i], name) == 0)
                        return i;
        fprintf(stderr, "simulate: no destination: %s\n", name);
        exit(2);
}

static void print_event(struct sim *s, const struct audit_text *event)
{
        if (sim_event_field(event, "RULE")[0])
                printf("%u %s %s %s\n", s->ticks, audit_kinds[event->kind].name, sim_event_field(event, "RULE"),
                       sim_event_field(event, "SYSCTL"));
}

static void parse_line(char *line, struct load *load, unsigned *ret_ms)
{
        char *save, *word = strtok_r(line, " \n", &save);

        memset(load, 0, sizeof(*load));
        *ret_ms = word ? (unsigned)(strtod(word, NULL) * 1000 + 0.5) : 0;
        while ((word = strtok_r(NULL, " \n", &save))) {
                double rate = strtod(word, NULL);

                word = strtok_r(NULL, " \n", &save);
                if (!word) {
                        fprintf(stderr, "simulate: a rate without a destination\n");
                        exit(2);
                }
                load->connects[find_destination(word)] += rate;
        }
}

static void live_through(struct sim *s, FILE *script)
{
        struct load load;
        char line[256];
        unsigned ms;

        while (fgets(line, sizeof(line), script)) {
                parse_line(line, &load, &ms);
                sim_run(s, &load, ms);
                sim_tick(s);
        }
}

int main(int argc, char *argv[])
{
        static char text[65536];
        FILE *config = argc == 2 || argc == 3 ? fopen(argv[1], "r") : NULL;
        unsigned long ports = argc == 3 ? strtoul(argv[2], NULL, 10) : STOCK_PORTS;
        struct sim *s = ports > 0 && ports <= KERNEL_PORTS ? sim_new(1, KERNEL_PORT_BASE, (unsigned)ports) : NULL;

        if (!config || !s) {
                fprintf(stderr, "usage: simulate CONFIG [PORTS] <SCRIPT (%s)\n", strerror(errno));
                return 2;
        }
        text[fread(text, 1, sizeof(text) - 1, config)] = 0;
        fclose(config);
        s->on_event = print_event;
        sim_start(s, text, NULL);
        live_through(s, stdin);
        sim_free(s);
        return 0;
}
