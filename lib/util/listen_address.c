/* SPDX-License-Identifier: MIT */
#include "lib/util/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/util/units.h"

int listen_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_size)
{
        const char *colon = strrchr(text, ':');
        size_t length = colon ? (size_t)(colon - text) : 0;
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        bool brackets = length >= 2 && text[0] == '[' && text[length - 1] == ']';
        char address[INET6_ADDRSTRLEN];
        uint64_t port;

        if (brackets) {
                text++;
                length -= 2;
        }
        if (length == 0 || length >= sizeof(address) || strlen(colon) > sizeof("65535") ||
            whole_number_parse(colon + 1, &port) < 0 || port < 1 || port > UINT16_MAX)
                return -EINVAL;
        memcpy(address, text, length);
        address[length] = 0;
        if (inet_pton(brackets ? AF_INET6 : AF_INET, address, brackets ? (void *)&v6.sin6_addr : &v4.sin_addr) != 1)
                return -EINVAL;
        v6.sin6_port = v4.sin_port = htons((uint16_t)port);
        if (ret)
                memcpy(ret, brackets ? (const void *)&v6 : &v4, brackets ? sizeof(v6) : sizeof(v4));
        if (ret_size)
                *ret_size = brackets ? sizeof(v6) : sizeof(v4);
        return 0;
}
