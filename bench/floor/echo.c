/*
 * The floor: the least that any server pays for a UDP query and its reply. Receives up to 64 datagrams a call, turns each query into a
 * reply by two bits of its header, and sends them back in one call. It parses nothing, keeps nothing, and looks nothing up.
 *
 *     cc -O2 -o echo bench/floor/echo.c && ./echo 127.0.0.1 5300
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { batch = 64, room = 4096 };

static unsigned char octets[batch][room];
static struct sockaddr_in peers[batch];
static struct iovec parts[batch];
static struct mmsghdr messages[batch];

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "echo ADDRESS PORT\n");
    return 64;
  }
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(words[2]))};
  inet_pton(AF_INET, words[1], &own.sin_addr);
  if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
    perror("bind");
    return 1;
  }
  int queue = 4 * 1024 * 1024;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue);
  for (int slot = 0; slot < batch; slot += 1) {
    parts[slot].iov_base = octets[slot];
    messages[slot].msg_hdr.msg_iov = &parts[slot];
    messages[slot].msg_hdr.msg_iovlen = 1;
    messages[slot].msg_hdr.msg_name = &peers[slot];
  }
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  for (;;) {
    if (poll(&readable, 1, -1) < 0) continue;
    for (int slot = 0; slot < batch; slot += 1) {
      parts[slot].iov_len = room;
      messages[slot].msg_hdr.msg_namelen = sizeof peers[slot];
    }
    int received = recvmmsg(fd, messages, batch, 0, NULL);
    for (int slot = 0; slot < received; slot += 1) {
      parts[slot].iov_len = messages[slot].msg_len;
      if (messages[slot].msg_len > 3) octets[slot][2] |= 0x80;
    }
    for (int sent = 0; sent < received;) {
      int taken = sendmmsg(fd, messages + sent, received - sent, 0);
      sent += taken > 0 ? taken : 1;
    }
  }
}
