/* SPDX-License-Identifier: MIT */
#pragma once

/* Finds the owner of a cgroup from its path below the root of the hierarchy. */

#define CGROUP_UNIT_MAX 256 /* a unit's whole name fits (systemd.unit(5)) */

/* Writes one of these names, as changed by safe_name():
 *
 *         nginx.service                      the first unit in the path; cgroups below it are internal to the unit
 *         user@1000.service/nginx.service    a unit of a user's manager, which runs below the unit of the manager
 *         docker:0123456789ab                a docker or podman container, by the first 12 digits of its ID, which the
 *                                            commands of both accept
 *         pod:UID/containerd:0123456789ab    a container of a Kubernetes pod, by its runtime: containerd, cri-o,
 *                                            docker, or "container" if the path does not name the runtime
 *         pod:UID                            a cgroup of the pod itself
 *         user@1000.service/podman:0123...   a user's container; a user's cgroups are never taken for a pod
 *         /some/path                         the path itself, if none of its parts names an owner
 */
void cgroup_unit_of_path(const char *path, char unit[static CGROUP_UNIT_MAX]);
