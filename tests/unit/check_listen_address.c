/* SPDX-License-Identifier: MIT */
#include "lib/util/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/util/macro.h"
#include "run.h"

static const struct {
        const char *text;
        int family; /* 0: no such address */
        const char *address;
        unsigned port;
} rows[] = {
        {"127.0.0.1:9911", AF_INET, "127.0.0.1", 9911},
        {"0.0.0.0:1", AF_INET, "0.0.0.0", 1},
        {"10.0.0.255:65535", AF_INET, "10.0.0.255", 65535},
        {"[::]:9911", AF_INET6, "::", 9911},
        {"[fd77::1]:80", AF_INET6, "fd77::1", 80},
        {"", 0, "", 0},
        {":", 0, "", 0},
        {":80", 0, "", 0},
        {"[]:80", 0, "", 0},
        {"127.0.0.1", 0, "", 0},
        {"127.0.0.1:", 0, "", 0},
        {"127.0.0.1:0", 0, "", 0},
        {"127.0.0.1:65536", 0, "", 0},
        {"127.0.0.1:999999999999999999999", 0, "", 0},
        {"127.0.0.1:+80", 0, "", 0},
        {"127.0.0.1:80 ", 0, "", 0},
        {"127.0.0.1:http", 0, "", 0},
        {"[127.0.0.1]:80", 0, "", 0},
        {"::1:80", 0, "", 0},
        {"[::1:80", 0, "", 0},
        {"[fe80::1%lo]:80", 0, "", 0},
        {"localhost:80", 0, "", 0},
        {"0000000000000000000000000000000000000000000000000000000000000000:80", 0, "", 0},
};

START_TEST(an_address_and_a_port)
{
        struct sockaddr_storage got = {.ss_family = AF_UNSPEC};
        char address[INET6_ADDRSTRLEN] = "";
        socklen_t size = 0;
        int r = listen_address_parse(rows[_i].text, &got, &size);
        const struct sockaddr_in6 *v6 = (const void *)&got;
        const struct sockaddr_in *v4 = (const void *)&got;

        ck_assert_msg(r == (rows[_i].family ? 0 : -EINVAL), "'%s': %d", rows[_i].text, r);
        ck_assert_int_eq(got.ss_family, rows[_i].family);
        if (r < 0)
                return;
        ck_assert_uint_eq(size, got.ss_family == AF_INET6 ? sizeof(*v6) : sizeof(*v4));
        ck_assert_uint_eq(ntohs(got.ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port), rows[_i].port);
        inet_ntop(got.ss_family, got.ss_family == AF_INET6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, address,
                  sizeof(address));
        ck_assert_str_eq(address, rows[_i].address);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, an_address_and_a_port, 0, ELEMENTSOF(rows));
}

int main(void)
{
        return run_suite("listen_address", add);
}
