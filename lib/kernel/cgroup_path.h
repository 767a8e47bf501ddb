/* SPDX-License-Identifier: MIT */
#pragma once

/* Whose a cgroup is, by its path below the root of the hierarchy. */

#define CGROUP_UNIT_MAX 256 /* a unit's whole name fits (systemd.unit(5)) */

/* Gives one of these names, to which safe_name() was applied:
 *
 *         nginx.service                      the first part of the path that names a unit: the cgroups below are its own business
 *         user@1000.service/nginx.service    what a user's own manager runs: there another unit may run, which is that user's
 *         docker:0123456789ab                a container of docker or podman, by the first 12 digits of its ID, which their
 *                                            commands take
 *         pod:UID/containerd:0123456789ab    a container of a pod of Kubernetes: containerd, cri-o, docker, or container
 *                                            where the path does not say the runtime
 *         pod:UID                            a cgroup of the pod itself
 *         user@1000.service/podman:0123...   a user's container; a user's cgroups are never taken for a pod
 *         /some/path                         no part of it says more
 */
void cgroup_unit_of_path(const char *path, char unit[static CGROUP_UNIT_MAX]);
