/* SPDX-License-Identifier: MIT */
#include "lib/kernel/listeners.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/kernel/diag.h"
#include "lib/util/macro.h"

void listeners_begin(struct listeners *l)
{
        l->n = 0;
}

void listeners_add(struct listeners *l, const struct inet_diag_msg *socket, size_t length)
{
        struct listener *item = &l->item[l->n];

        if (l->n == LISTENERS_MAX)
                return;
        l->n++;
        *item = (struct listener){
                .cookie = diag_cookie(socket),
                .cgroup = diag_cgroup(socket, length),
                .family = socket->idiag_family,
                .port = ntohs(socket->id.idiag_sport),
                .queued = socket->idiag_rqueue,
                .backlog = socket->idiag_wqueue,
        };
        memcpy(item->address, socket->id.idiag_src, sizeof(item->address));
        item->drops_known = diag_drops(socket, length, &item->drops);
}

/* Searches from hint, the listener's index in the new dump: usually it had the same index before. */
static const struct listener *find_before(const struct listeners *l, unsigned hint, uint64_t cookie)
{
        for (unsigned k = 0; k < l->n_before; k++) {
                const struct listener *b = &l->before[(hint + k) % l->n_before];

                if (b->cookie == cookie)
                        return b;
        }
        return NULL;
}

void listeners_commit(struct listeners *l)
{
        l->new_drops_known = true;
        l->new_drops = 0;
        for (unsigned i = 0; i < l->n; i++) {
                struct listener *item = &l->item[i];
                const struct listener *before = find_before(l, i, item->cookie);
                bool known = item->drops_known && (!before || before->drops_known);

                item->new_drops = 0;
                if (known && before)
                        item->new_drops = item->drops - before->drops; /* sk_drops is 32 bits wide and may wrap */
                else if (known && l->complete)
                        item->new_drops = item->drops;
                if (before && l->between_before) {
                        item->new_drops += before->new_drops;
                        item->noted_drops = before->noted_drops;
                }
                if (before) {
                        item->dropped_at = before->dropped_at;
                        item->fills = before->fills;
                        memcpy(item->burst_at, before->burst_at, sizeof(item->burst_at));
                }
                l->new_drops_known &= known;
                l->new_drops += item->new_drops;
        }
        memcpy(l->before, l->item, l->n * sizeof(l->item[0]));
        l->n_before = l->n;
        l->complete = l->n < LISTENERS_MAX;
        l->between_before = l->between;
}

/* Returns how well a listener matches a SYN_RECV socket; 0: not at all. The kernel prefers a specific address to a
 * wildcard (net/ipv4/inet_hashtables.c:__inet_lookup_listener); [::] gets IPv4 too if no listener of IPv4 matches
 * (compute_score). */
static unsigned match_score(const struct listener *l, const struct inet_diag_msg *socket)
{
        static const uint32_t any[4];
        bool same_family = l->family == socket->idiag_family;

        if (l->port != ntohs(socket->id.idiag_sport))
                return 0;
        if (same_family && memcmp(l->address, socket->id.idiag_src, sizeof(l->address)) == 0)
                return 3;
        if (memcmp(l->address, any, sizeof(any)) != 0)
                return 0;
        return same_family ? 2 : l->family == AF_INET6;
}

void listeners_clear_handshakes(struct listeners *l)
{
        for (unsigned i = 0; i < l->n; i++)
                l->item[i].handshakes = 0;
}

void listeners_add_handshake(struct listeners *l, const struct inet_diag_msg *socket)
{
        struct listener *best = NULL;
        unsigned highest = 0;

        for (unsigned i = 0; i < l->n; i++) {
                unsigned score = match_score(&l->item[i], socket);

                if (score > highest) {
                        highest = score;
                        best = &l->item[i];
                }
        }
        if (best)
                best->handshakes++;
}

double listener_accept_queue(const struct listeners *l, const struct listener *listener)
{
        (void)l;
        return 100.0 * listener->queued / (listener->backlog + 1.0);
}

double listener_syn_queue(const struct listeners *l, const struct listener *listener)
{
        double limit = 0;

        for (unsigned i = 0; i < l->n && listener->handshakes > 0; i++)
                if (l->item[i].port == listener->port && l->item[i].family == listener->family &&
                    memcmp(l->item[i].address, listener->address, sizeof(listener->address)) == 0)
                        limit += MIN(l->item[i].backlog, l->syn_limit > 0 ? l->syn_limit : UINT32_MAX);
        return 100.0 * listener->handshakes / (limit > 0 ? limit : 1);
}

static void note_drop(struct listener *item, uint64_t now)
{
        if (!item->fills && (item->dropped_at == 0 || now - item->dropped_at >= LISTENER_BURST_PAUSE)) {
                memmove(&item->burst_at[1], &item->burst_at[0], sizeof(item->burst_at) - sizeof(item->burst_at[0]));
                item->burst_at[0] = now;
        }
        item->dropped_at = now;
}

void listeners_note_bursts(struct listeners *l, uint64_t now, bool accept_queue)
{
        uint64_t tick_at = l->tick_at;

        l->now = now;
        l->tick_at = l->between ? tick_at : now;
        l->overflowing = 0;
        l->fills = false;
        for (unsigned i = 0; i < l->n; i++) {
                struct listener *item = &l->item[i];
                bool drops = accept_queue && item->new_drops > item->noted_drops;

                if (drops)
                        note_drop(item, now);
                item->noted_drops = item->new_drops;
                item->fills = (item->fills || drops) && 2 * (uint64_t)item->queued > (uint64_t)item->backlog + 1;
                l->overflowing += drops || item->fills || item->dropped_at > tick_at;
                l->fills |= item->fills;
                l->before[i] = *item;
        }
}

double listener_bursts(const struct listeners *l, const struct listener *listener)
{
        unsigned n = 0;

        for (unsigned i = 0; i < LISTENER_BURSTS; i++)
                n += listener->burst_at[i] != 0 && l->now - listener->burst_at[i] <= LISTENER_BURST_WINDOW;
        return n;
}

double listener_new_drops(const struct listeners *l, const struct listener *listener)
{
        (void)l;
        return listener->new_drops;
}

const struct listener *listeners_worst(const struct listeners *l, listener_measure *measure)
{
        const struct listener *worst = NULL;
        double most = 0;

        for (unsigned i = 0; i < l->n; i++) {
                double value = measure(l, &l->item[i]);

                if (value > most) {
                        most = value;
                        worst = &l->item[i];
                }
        }
        return worst;
}

const char *listener_name(const struct listener *l, char buf[static LISTENER_NAME_MAX])
{
        char address[INET6_ADDRSTRLEN];

        inet_ntop(l->family, l->address, address, sizeof(address));
        snprintf(buf, LISTENER_NAME_MAX, l->family == AF_INET6 ? "[%s]:%u" : "%s:%u", address, l->port);
        return buf;
}
