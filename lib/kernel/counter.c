/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/kernel/counter.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

#define EXT(name) "netstat.TcpExt." name
#define TCP(name) "snmp.Tcp." name
#define IP(name) "snmp.Ip." name

/* The counters that are levels (net/ipv4/proc.c:snmp4_tcp_list and snmp_seq_show_ipstats). */
static const char *const gauges[] = {
        TCP("CurrEstab"), TCP("RtoAlgorithm"), TCP("RtoMin"),    TCP("RtoMax"),
        TCP("MaxConn"),   IP("Forwarding"),    IP("DefaultTTL"),
};

void counters_init(struct counters *counters)
{
        static const char *const own[COUNTER_OWN] = {
                [COUNTER_TW_RECYCLED] = EXT("TWRecycled"),
                [COUNTER_LISTEN_DROPS] = EXT("ListenDrops"),
                [COUNTER_SYN_RETRANS] = EXT("TCPSynRetrans"),
                [COUNTER_ACTIVE_OPENS] = TCP("ActiveOpens"),
                [COUNTER_PASSIVE_OPENS] = TCP("PassiveOpens"),
                [COUNTER_OUT_RSTS] = TCP("OutRsts"),
                [COUNTER_UDP_DROPS] = "snmp.Udp.RcvbufErrors",
                [COUNTER_PAWS_TIME_WAIT] = EXT("PAWSTimewait"),
                [COUNTER_TW] = EXT("TW"),
                [COUNTER_TIME_WAIT_OVERFLOW] = EXT("TCPTimeWaitOverflow"),
        };

        counters->n = 0;
        for (unsigned i = 0; i < COUNTER_OWN; i++)
                counters_add(counters, own[i]);
}

/* All names of /proc/net/netstat begin alike, so the length is compared first. */
unsigned counters_find(const struct counters *counters, const char *name)
{
        size_t length = strlen(name);

        for (unsigned i = 0; i < counters->n; i++)
                if (counters->item[i].length == length && memcmp(counters->item[i].name, name, length) == 0)
                        return i;
        return COUNTERS_MAX;
}

unsigned counters_add(struct counters *counters, const char *name)
{
        unsigned i = counters_find(counters, name);

        if (i < COUNTERS_MAX)
                return i;
        if (counters->n == COUNTERS_MAX || strlen(name) >= COUNTER_NAME_MAX)
                return COUNTERS_MAX;

        i = counters->n++;
        counters->item[i] = (struct counter){0};
        strcpy(counters->item[i].name, name);
        counters->item[i].length = (unsigned char)strlen(name);
        for (unsigned g = 0; g < ELEMENTSOF(gauges); g++)
                if (strcmp(gauges[g], name) == 0)
                        counters->item[i].gauge = true;
        return i;
}

/* The netstat counters that change only with a segment, which snmp counts as well (InSegs in
 * net/ipv4/tcp_ipv4.c:tcp_v4_rcv and net/ipv6/tcp_ipv6.c:tcp_v6_rcv; ActiveOpens in net/ipv4/tcp_output.c:tcp_connect;
 * RetransSegs in __tcp_retransmit_skb and tcp_rtx_synack there), or with the end of a socket (TW,
 * TCPTimeWaitOverflow). TCPTimeouts, TCPMemoryPressures and ArpFilter, for example, are not among them. */
static const char *const with_sign[] = {
        EXT("SyncookiesSent"), EXT("SyncookiesRecv"),       EXT("SyncookiesFailed"), EXT("TW"),
        EXT("TWRecycled"),     EXT("PAWSActive"),           EXT("PAWSEstab"),        EXT("PAWSTimewait"),
        EXT("ListenDrops"),    EXT("TCPReqQFullDoCookies"), EXT("ListenOverflows"),  EXT("TCPReqQFullDrop"),
        EXT("TCPSynRetrans"),  EXT("TCPTimeWaitOverflow"),
};

bool counter_has_sign(const char *name)
{
        for (unsigned i = 0; i < ELEMENTSOF(with_sign); i++)
                if (strcmp(with_sign[i], name) == 0)
                        return true;
        return false;
}

/* A pair of lines: "TcpExt: NAME NAME ..." and "TcpExt: NUMBER NUMBER ...". */
struct pair {
        const char *group, *name, *number; /* the current words; each ends at a blank or a newline */
        size_t group_len, name_len;
};

/* A loop of its own, because every tick reads these files: strcspn() costs three times as much on such short words. */
static const char *word_end(const char *p)
{
        while ((unsigned char)*p > ' ')
                p++;
        return p;
}

/* Returns the next word of the line; NULL: there is none. */
static const char *word_after(const char *p)
{
        p = word_end(p);
        while (*p == ' ')
                p++;
        return (unsigned char)*p > ' ' ? p : NULL;
}

/* Opens the pair of lines at p. Returns the text after it; NULL: the text ends here, or it is garbled. */
static const char *pair_open(struct pair *pair, const char *p)
{
        const char *values = strchrnul(p, '\n');

        pair->group = p;
        pair->group_len = strcspn(p, ":\n");
        if (!*values++ || p[pair->group_len] != ':' || strncmp(p, values, pair->group_len + 1) != 0)
                return NULL;
        pair->name = p;
        pair->number = values;
        p = strchrnul(values, '\n');
        return *p ? p + 1 : p;
}

static bool pair_next(struct pair *pair)
{
        pair->name = word_after(pair->name);
        pair->number = word_after(pair->number);
        if (!pair->name || !pair->number)
                return false;
        pair->name_len = (size_t)(word_end(pair->name) - pair->name);
        return true;
}

void counters_add_all(struct counters *counters, const char *prefix, const char *text)
{
        char name[COUNTER_NAME_MAX];
        struct pair pair;

        for (const char *p = text; (p = pair_open(&pair, p));) {
                size_t head =
                        (size_t)snprintf(name, sizeof(name), "%s.%.*s.", prefix, (int)pair.group_len, pair.group);

                while (pair_next(&pair))
                        if (head + pair.name_len < sizeof(name)) {
                                memcpy(name + head, pair.name, pair.name_len);
                                name[head + pair.name_len] = 0;
                                counters_add(counters, name);
                        }
        }
}

/* The counters of the set that belong to the group of a pair. Rules name few counters of a line, and none of most
 * lines. */
struct members {
        unsigned n;
        struct counter *counter[COUNTERS_MAX];
        const char *name[COUNTERS_MAX]; /* without prefix and group */
};

static void members_find(struct members *members, struct counters *counters, const char *prefix,
                         const struct pair *pair)
{
        size_t prefix_len = strlen(prefix), head = prefix_len + 1 + pair->group_len + 1;

        members->n = 0;
        for (unsigned i = 0; i < counters->n && head < COUNTER_NAME_MAX; i++) {
                struct counter *c = &counters->item[i];

                if (c->name[head - 1] != '.' || strncmp(c->name, prefix, prefix_len) != 0 ||
                    strncmp(c->name + prefix_len + 1, pair->group, pair->group_len) != 0)
                        continue;
                members->counter[members->n] = c;
                members->name[members->n++] = c->name + head;
        }
}

/* MaxConn is -1 where there is no limit. */
static bool value_parse(const char *text, uint64_t *ret)
{
        bool negative = *text == '-';

        if (!number_parse(text + negative, ret))
                return false;
        if (negative)
                *ret = -*ret;
        return true;
}

/* Returns the index of the member with the current name; members->n: it is not wanted. Begins after the member found
 * last: a set made from the file has the order of the file. */
static unsigned member_find(const struct members *members, unsigned from, const struct pair *pair)
{
        for (unsigned k = 0; k < members->n; k++) {
                unsigned i = (from + k) % members->n;
                const char *name = members->name[i];

                if (*name == *pair->name && strncmp(name, pair->name, pair->name_len) == 0 &&
                    name[pair->name_len] == 0)
                        return i;
        }
        return members->n;
}

void counters_read(struct counters *counters, const char *prefix, const char *text)
{
        struct members members;
        struct pair pair;

        for (const char *p = text; (p = pair_open(&pair, p));) {
                unsigned found = 0, next = 0;

                members_find(&members, counters, prefix, &pair);
                while (found < members.n && pair_next(&pair)) {
                        unsigned i = member_find(&members, next, &pair);

                        if (i == members.n)
                                continue;
                        members.counter[i]->seen = value_parse(pair.number, &members.counter[i]->value);
                        next = i + 1;
                        found++;
                }
        }
}

/* E: of TcpExt, T: of Tcp, U: of Udp. */
#define E(name) EXT(#name),
#define T(name) TCP(#name),
#define U(name) "snmp.Udp." #name,

/* In the order of net/ipv4/proc.c: snmp4_net_list, then snmp4_tcp_list. */
/* clang-format off */
const char *const counter_builtin[] = {
        E(SyncookiesSent) E(SyncookiesRecv) E(SyncookiesFailed) E(EmbryonicRsts) E(PruneCalled) E(RcvPruned)
        E(OfoPruned) E(OutOfWindowIcmps) E(LockDroppedIcmps) E(ArpFilter) E(TW) E(TWRecycled) E(TWKilled) E(PAWSActive)
        E(PAWSEstab) E(BeyondWindow) E(TSEcrRejected) E(PAWSOldAck) E(PAWSTimewait) E(DelayedACKs) E(DelayedACKLocked)
        E(DelayedACKLost) E(ListenOverflows) E(ListenDrops) E(TCPHPHits) E(TCPPureAcks) E(TCPHPAcks) E(TCPRenoRecovery)
        E(TCPSackRecovery) E(TCPSACKReneging) E(TCPSACKReorder) E(TCPRenoReorder) E(TCPTSReorder) E(TCPFullUndo)
        E(TCPPartialUndo) E(TCPDSACKUndo) E(TCPLossUndo) E(TCPLostRetransmit) E(TCPRenoFailures) E(TCPSackFailures)
        E(TCPLossFailures) E(TCPFastRetrans) E(TCPSlowStartRetrans) E(TCPTimeouts) E(TCPLossProbes)
        E(TCPLossProbeRecovery) E(TCPRenoRecoveryFail) E(TCPSackRecoveryFail) E(TCPRcvCollapsed) E(TCPBacklogCoalesce)
        E(TCPDSACKOldSent) E(TCPDSACKOfoSent) E(TCPDSACKRecv) E(TCPDSACKOfoRecv) E(TCPAbortOnData) E(TCPAbortOnClose)
        E(TCPAbortOnMemory) E(TCPAbortOnTimeout) E(TCPAbortOnLinger) E(TCPAbortFailed) E(TCPMemoryPressures)
        E(TCPMemoryPressuresChrono) E(TCPSACKDiscard) E(TCPDSACKIgnoredOld) E(TCPDSACKIgnoredNoUndo) E(TCPSpuriousRTOs)
        E(TCPMD5NotFound) E(TCPMD5Unexpected) E(TCPMD5Failure) E(TCPSackShifted) E(TCPSackMerged)
        E(TCPSackShiftFallback) E(TCPBacklogDrop) E(PFMemallocDrop) E(TCPMinTTLDrop) E(TCPDeferAcceptDrop)
        E(IPReversePathFilter) E(TCPTimeWaitOverflow) E(TCPReqQFullDoCookies) E(TCPReqQFullDrop) E(TCPRetransFail)
        E(TCPRcvCoalesce) E(TCPOFOQueue) E(TCPOFODrop) E(TCPOFOMerge) E(TCPChallengeACK) E(TCPSYNChallenge)
        E(TCPFastOpenActive) E(TCPFastOpenActiveFail) E(TCPFastOpenPassive) E(TCPFastOpenPassiveFail)
        E(TCPFastOpenListenOverflow) E(TCPFastOpenCookieReqd) E(TCPFastOpenBlackhole) E(TCPSpuriousRtxHostQueues)
        E(BusyPollRxPackets) E(TCPAutoCorking) E(TCPFromZeroWindowAdv) E(TCPToZeroWindowAdv) E(TCPWantZeroWindowAdv)
        E(TCPSynRetrans) E(TCPOrigDataSent) E(TCPHystartTrainDetect) E(TCPHystartTrainCwnd) E(TCPHystartDelayDetect)
        E(TCPHystartDelayCwnd) E(TCPACKSkippedSynRecv) E(TCPACKSkippedPAWS) E(TCPACKSkippedSeq)
        E(TCPACKSkippedFinWait2) E(TCPACKSkippedTimeWait) E(TCPACKSkippedChallenge) E(TCPWinProbe) E(TCPKeepAlive)
        E(TCPMTUPFail) E(TCPMTUPSuccess) E(TCPDelivered) E(TCPDeliveredCE) E(TCPAckCompressed) E(TCPZeroWindowDrop)
        E(TCPRcvQDrop) E(TCPWqueueTooBig) E(TCPFastOpenPassiveAltKey) E(TcpTimeoutRehash) E(TcpDuplicateDataRehash)
        E(TCPDSACKRecvSegs) E(TCPDSACKIgnoredDubious) E(TCPMigrateReqSuccess) E(TCPMigrateReqFailure) E(TCPPLBRehash)
        E(TCPAORequired) E(TCPAOBad) E(TCPAOKeyNotFound) E(TCPAOGood) E(TCPAODroppedIcmps)
        T(RtoAlgorithm) T(RtoMin) T(RtoMax) T(MaxConn) T(ActiveOpens) T(PassiveOpens) T(AttemptFails) T(EstabResets)
        T(CurrEstab) T(InSegs) T(OutSegs) T(RetransSegs) T(InErrs) T(OutRsts) T(InCsumErrors)
        U(RcvbufErrors)
        NULL,
};
/* clang-format on */
