/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/kernel/cgroup_path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/safe.h"

#define HEX "0123456789abcdef"
#define ID_LENGTH 64u
#define ID_SHOWN 12
#define UID_LENGTH 36u  /* 8-4-4-4-12 */
#define HASH_LENGTH 32u /* the UID of a static pod: a hash of its manifest (kubelet, config/common.go) */

/* The current part of the path, and what the parts before it have shown. */
struct walk {
        const char *part;
        size_t length;
        bool below_kubepods;     /* an earlier part is "kubepods", the root of the cgroupfs driver */
        bool below_docker;       /* the previous part is "docker" */
        char user[NAME_MAX + 1]; /* "user@1000.service"; "": not of a user */
        char pod[UID_LENGTH + 1];
};

static bool is_unit(const struct walk *w)
{
        static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount"};

        for (unsigned i = 0; i < ELEMENTSOF(suffixes); i++) {
                size_t n = strlen(suffixes[i]);

                if (w->length > n && strncmp(w->part + w->length - n, suffixes[i], n) == 0)
                        return true;
        }
        return false;
}

static bool is(const struct walk *w, const char *name)
{
        return w->length == strlen(name) && strncmp(w->part, name, w->length) == 0;
}

/* The systemd driver writes '_' for the '-' of a UID, as '-' is its separator of slices. Copies the UID at the
 * start of the text to ret. Returns its length; 0: there is none. */
static size_t read_pod_uid(const char *text, size_t length, char ret[static UID_LENGTH + 1])
{
        size_t n = strspn(text, HEX "-_");

        n = n < length ? n : length;
        if (n == HASH_LENGTH && strspn(text, HEX) >= HASH_LENGTH) {
                snprintf(ret, UID_LENGTH + 1, "%.*s", (int)n, text);
                return n;
        }
        if (n != UID_LENGTH)
                return 0;
        for (size_t i = 0; i < n; i++) {
                bool dash = text[i] == '-' || text[i] == '_';

                if (dash != (i == 8 || i == 13 || i == 18 || i == 23))
                        return 0;
                ret[i] = dash ? '-' : text[i];
        }
        ret[n] = 0;
        return n;
}

/* The cgroupfs driver writes "podUID" below "kubepods"; the systemd driver writes "kubepods-burstable-podUID.slice",
 * with "kubelet-" before it in kind (Kubernetes in Docker). The part ends after the UID or continues with ".slice"; a
 * containerd whose driver is not the kubelet's adds ":cri-containerd:ID" to that. */
static bool find_pod(struct walk *w)
{
        char part[NAME_MAX + 1];
        const char *uid;
        size_t n;

        snprintf(part, sizeof(part), "%.*s", (int)w->length, w->part);
        if (w->below_kubepods && strncmp(part, "pod", 3) == 0)
                uid = part + 3;
        else if ((strncmp(part, "kubepods-", 9) == 0 || strstr(part, "-kubepods-")) && (uid = strstr(part, "-pod")))
                uid += 4;
        else
                return false;
        n = read_pod_uid(uid, strlen(uid), w->pod);
        if (n > 0 && (uid[n] == 0 || strncmp(uid + n, ".slice", 6) == 0))
                return true;
        w->pod[0] = 0;
        return false;
}

/* Returns the ID of the container that the part names, and fills in its runtime; NULL: it names no container. */
static const char *find_container(const struct walk *w, const char **ret_runtime)
{
        static const struct {
                const char *prefix, *runtime;
        } rows[] = {
                {"cri-containerd-", "containerd"}, {"crio-", "cri-o"}, {"docker-", "docker"}, {"libpod-", "podman"}};
        const char *id = w->part, *end = w->part + w->length,
                   *colon = memmem(w->part, w->length, ":cri-containerd:", 16);

        *ret_runtime = w->below_docker ? "docker" : w->pod[0] ? "container" : NULL;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                if (strncmp(w->part, rows[i].prefix, strlen(rows[i].prefix)) == 0) {
                        id = w->part + strlen(rows[i].prefix);
                        *ret_runtime = rows[i].runtime;
                }
        if (colon && w->pod[0]) {
                id = colon + 16;
                *ret_runtime = "containerd";
        }
        if (!*ret_runtime || strspn(id, HEX) != ID_LENGTH)
                return NULL;
        return id + ID_LENGTH == end || (id + ID_LENGTH + 6 == end && strncmp(end - 6, ".scope", 6) == 0) ? id : NULL;
}

/* Updates the name found so far. Returns true if no later part can change it. */
static bool look_at(struct walk *w, char *found, size_t size)
{
        const char *runtime, *id, *slash = w->user[0] ? "/" : "";

        /* Users name the cgroups below user.slice, and containers their own: ignore every pod but the first one, and
         * all pods of users. */
        if (!w->user[0] && !w->pod[0])
                find_pod(w);
        id = find_container(w, &runtime);
        if (id) {
                snprintf(found, size, "%s%s%s%s%s%s:%.*s", w->user, slash, w->pod[0] ? "pod:" : "", w->pod,
                         w->pod[0] ? "/" : "", runtime, ID_SHOWN, id);
                return true;
        }
        if (w->pod[0])
                snprintf(found, size, "pod:%s", w->pod); /* unless a part below names the container */
        if (w->pod[0] || !is_unit(w))
                return false;
        snprintf(found, size, "%s%s%.*s", w->user, slash, (int)w->length, w->part);
        if (!w->user[0] && strncmp(w->part, "user@", 5) == 0) {
                snprintf(w->user, sizeof(w->user), "%.*s", (int)w->length, w->part);
                return false;
        }
        return !is(w, "containerd.service"); /* below it there may be a pod: see find_pod() */
}

void cgroup_unit_of_path(const char *path, char unit[static CGROUP_UNIT_MAX])
{
        struct walk w = {.part = path + (*path == '/')};
        char found[2 * NAME_MAX + 2] = "";

        for (; *w.part; w.part += w.length + (w.part[w.length] == '/')) {
                w.length = strcspn(w.part, "/");
                if (look_at(&w, found, sizeof(found)))
                        break;
                w.below_kubepods |= is(&w, "kubepods");
                w.below_docker = is(&w, "docker");
        }
        safe_name(found[0] ? found : path, unit, CGROUP_UNIT_MAX);
}
