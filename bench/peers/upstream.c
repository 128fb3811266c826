/*
 * The server behind all that are measured: answers as a CoreDNS in front of a cluster does, after a pause, and counts. Over UDP all
 * pauses run at the same time; over TCP a connection's questions wait for each other, as CoreDNS serves one at a time.
 *
 *     cc -O2 -o upstream upstream.c && ./upstream ADDRESS PORT PAUSE_MICROSECONDS
 *
 * Under cluster.local there are svc-N.team-M.svc (A and AAAA, TTL 30), team-M.svc and svc (no data), and dns-version (TXT); all else is
 * denied for 30 seconds. Under absent.example everything is denied, for 300. All other names exist, TTL 3600.
 *
 * Each line that it reads it answers with one of JSON: the questions since the line before over each transport, and from how many
 * different sockets they came.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { most_waiting = 1 << 17, most_connections = 8192, room = 4096, most_datagrams_a_turn = 64 };

/* A reply that waits for its time. `connection` is -1 for UDP. */
struct waiting {
  int64_t due;
  uint64_t number;
  int connection;
  unsigned generation;
  struct sockaddr_in peer;
  int size;
  unsigned char message[512];
};

struct connection {
  int fd;
  unsigned generation;
  int64_t busy_until;
  int in_size;
  unsigned counted_in;
  unsigned char in[room];
};

static struct waiting *heap[most_waiting];
static int heap_size;
static uint64_t numbers;
static struct connection connections[most_connections];
static int udp_fd, tcp_fd, poller;
static int64_t pause_ns;
static int64_t over_udp, over_tcp, flows;
static unsigned look_number = 1;
static unsigned port_seen[65536];

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int is_before(const struct waiting *one, const struct waiting *other) {
  return one->due != other->due ? one->due < other->due : one->number < other->number;
}

static void push(struct waiting *reply) {
  if (heap_size == most_waiting) {
    free(reply);
    return;
  }
  reply->number = numbers++;
  int at = heap_size++;
  for (; at > 0 && is_before(reply, heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = reply;
}

static struct waiting *pop(void) {
  struct waiting *first = heap[0], *last = heap[--heap_size];
  int at = 0;
  for (int child; (child = 2 * at + 1) < heap_size; at = child) {
    if (child + 1 < heap_size && is_before(heap[child + 1], heap[child])) child += 1;
    if (!is_before(heap[child], last)) break;
    heap[at] = heap[child];
  }
  heap[at] = last;
  return first;
}

/* The question's name in lower case with dots, and how long its wire form is with type and class; 0 when it cannot be read. */
static int read_question(const unsigned char *message, int size, char *name) {
  int at = 12, length = 0;
  while (at < size && message[at] != 0) {
    int label = message[at++];
    if (label > 63 || at + label >= size) return 0;
    if (length > 0) name[length++] = '.';
    for (int index = 0; index < label; index += 1, at += 1)
      name[length++] = message[at] >= 'A' && message[at] <= 'Z' ? message[at] + 32 : message[at];
  }
  name[length] = 0;
  return at + 5 <= size ? at + 5 - 12 : 0;
}

static int ends_with(char *name, const char *tail) {
  size_t size = strlen(name), tail_size = strlen(tail);
  if (size < tail_size || strcmp(name + size - tail_size, tail) != 0) return 0;
  if (size == tail_size) {
    name[0] = 0;
    return 1;
  }
  if (name[size - tail_size - 1] != '.') return 0;
  name[size - tail_size - 1] = 0;
  return 1;
}

enum kind { data, no_data, denied, schema };

static enum kind judge(char *name) {
  if (ends_with(name, "absent.example")) return denied;
  if (!ends_with(name, "cluster.local")) return data;
  int first, second, end = -1;
  if (strcmp(name, "dns-version") == 0) return schema;
  if (name[0] == 0 || strcmp(name, "svc") == 0) return no_data;
  if (sscanf(name, "team-%d.svc%n", &first, &end) == 1 && end > 0 && name[end] == 0) return no_data;
  end = -1;
  if (sscanf(name, "svc-%d.team-%d.svc%n", &first, &second, &end) == 2 && end > 0 && name[end] == 0) return data;
  return denied;
}

static int put(unsigned char *at, const char *octets, int size) {
  memcpy(at, octets, size);
  return size;
}

/* Turns the query into its reply and returns the size, 0 when there is none. */
static int answer(const unsigned char *query, int size, unsigned char *reply) {
  char name[1024];
  if (size < 17 || size > room) return 0;
  int question = read_question(query, size, name);
  if (question == 0 || question > 300) return 0;
  int has_opt = query[11] > 0;
  int type = query[12 + question - 4] << 8 | query[12 + question - 3];
  int is_cluster = strlen(name) >= 13 && strcmp(name + strlen(name) - 13, "cluster.local") == 0;
  enum kind kind = judge(name);
  if (kind == schema && type != 16) kind = denied;
  memcpy(reply, query, 12 + question);
  memset(reply + 4, 0, 8);
  reply[5] = 1;
  reply[2] = 0x80 | (query[2] & 1) | (is_cluster ? 4 : 0);
  reply[3] = (is_cluster ? 0 : 0x80) | (kind == denied ? 3 : 0);
  int at = 12 + question;
  int has_answer = (kind == data && (type == 1 || type == 28)) || (kind == schema && type == 16);
  if (has_answer) {
    reply[7] = 1;
    at += put(reply + at, "\xc0\x0c", 2);
    reply[at++] = type >> 8;
    reply[at++] = type & 255;
    at += is_cluster ? put(reply + at, "\0\1\0\0\0\x1e", 6) : put(reply + at, "\0\1\0\0\x0e\x10", 6);
    if (type == 1) at += put(reply + at, "\0\4\xc0\0\2\1", 6);
    if (type == 28) at += put(reply + at, "\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 18);
    if (type == 16) at += put(reply + at, "\0\6\5" "1.1.0", 8);
  } else {
    reply[9] = 1;
    at += is_cluster ? put(reply + at, "\7cluster\5local\0", 15) : put(reply + at, "\0", 1);
    at += put(reply + at, "\0\6\0\1", 4);
    const char *ttl = is_cluster ? "\0\0\0\x1e" : "\0\0\1\x2c";
    at += put(reply + at, ttl, 4);
    /* 36 octets: "ns.", "hostmaster.", and five numbers, of which the last follows. */
    at += put(reply + at, "\0\x24\2ns\0\12hostmaster\0\0\0\0\1\0\0\x1c\x20\0\0\7\x08\0\1\x51\x80", 34);
    at += put(reply + at, ttl, 4);
  }
  if (has_opt) {
    reply[11] = 1;
    at += put(reply + at, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
    if (size >= 12 + question + 11) reply[at - 4] = query[12 + question + 7];
  }
  return at;
}

static void take_query(int connection, const struct sockaddr_in *peer, const unsigned char *query, int size) {
  struct waiting *reply = malloc(sizeof *reply);
  reply->size = answer(query, size, reply->message);
  if (reply->size == 0) {
    free(reply);
    return;
  }
  int64_t now = now_ns();
  reply->connection = connection;
  if (connection < 0) {
    over_udp += 1;
    reply->peer = *peer;
    reply->due = now + pause_ns;
    uint16_t port = ntohs(peer->sin_port);
    if (port_seen[port] != look_number) {
      port_seen[port] = look_number;
      flows += 1;
    }
  } else {
    struct connection *at = &connections[connection];
    over_tcp += 1;
    reply->generation = at->generation;
    reply->due = (at->busy_until > now ? at->busy_until : now) + pause_ns;
    at->busy_until = reply->due;
    if (at->counted_in != look_number) {
      at->counted_in = look_number;
      flows += 1;
    }
  }
  push(reply);
}

static void send_due(void) {
  int64_t now = now_ns();
  while (heap_size > 0 && heap[0]->due <= now) {
    struct waiting *reply = pop();
    if (reply->connection < 0) {
      sendto(udp_fd, reply->message, reply->size, 0, (struct sockaddr *)&reply->peer, sizeof reply->peer);
    } else if (connections[reply->connection].generation == reply->generation) {
      unsigned char framed[514] = {reply->size >> 8, reply->size & 255};
      memcpy(framed + 2, reply->message, reply->size);
      if (send(connections[reply->connection].fd, framed, reply->size + 2, MSG_NOSIGNAL) < 0) {}
    }
    free(reply);
  }
}

static void read_datagrams(void) {
  static unsigned char query[room];
  for (int count = 0; count < most_datagrams_a_turn; count += 1) {
    struct sockaddr_in peer;
    socklen_t peer_size = sizeof peer;
    ssize_t size = recvfrom(udp_fd, query, sizeof query, 0, (struct sockaddr *)&peer, &peer_size);
    if (size < 0) return;
    take_query(-1, &peer, query, size);
  }
}

static void accept_connections(void) {
  for (;;) {
    int fd = accept4(tcp_fd, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    int index = 0, yes = 1;
    while (index < most_connections && connections[index].fd != 0) index += 1;
    if (index == most_connections) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connections[index].fd = fd;
    connections[index].in_size = 0;
    connections[index].busy_until = 0;
    connections[index].counted_in = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 16 + index};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  }
}

static void read_connection(int index) {
  struct connection *connection = &connections[index];
  ssize_t size = recv(connection->fd, connection->in + connection->in_size, room - connection->in_size, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) {
    close(connection->fd);
    connection->fd = 0;
    connection->generation += 1;
    return;
  }
  connection->in_size += size;
  int at = 0;
  while (connection->in_size - at >= 2) {
    int length = connection->in[at] << 8 | connection->in[at + 1];
    if (connection->in_size - at < length + 2) break;
    take_query(index, NULL, connection->in + at + 2, length);
    at += 2 + length;
  }
  memmove(connection->in, connection->in + at, connection->in_size - at);
  connection->in_size -= at;
}

static int tell_counts(void) {
  char line[64];
  if (read(0, line, sizeof line) <= 0) return 0;
  printf("{\"udp\":%ld,\"tcp\":%ld,\"flows\":%ld}\n", (long)over_udp, (long)over_tcp, (long)flows);
  fflush(stdout);
  over_udp = over_tcp = flows = 0;
  look_number += 1;
  return 1;
}

int main(int count, char **words) {
  if (count != 4) return 64;
  prctl(PR_SET_TIMERSLACK, 1);
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(words[2]))};
  inet_pton(AF_INET, words[1], &own.sin_addr);
  pause_ns = atoll(words[3]) * 1000;
  int yes = 1, queue = 4 << 20;
  udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(udp_fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue);
  setsockopt(tcp_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(udp_fd, (struct sockaddr *)&own, sizeof own) != 0 || bind(tcp_fd, (struct sockaddr *)&own, sizeof own) != 0 ||
      listen(tcp_fd, 1024) != 0) {
    perror("listen");
    return 1;
  }
  poller = epoll_create1(0);
  int watched[] = {0, udp_fd, tcp_fd};
  for (unsigned index = 0; index < 3; index += 1) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    epoll_ctl(poller, EPOLL_CTL_ADD, watched[index], &event);
  }
  for (;;) {
    int64_t wait = heap_size > 0 ? heap[0]->due - now_ns() : 1000000000;
    if (wait < 0) wait = 0;
    struct timespec limit = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    struct epoll_event events[64];
    int ready = epoll_pwait2(poller, events, 64, &limit, NULL);
    for (int turn = 0; turn < ready; turn += 1) {
      unsigned what = events[turn].data.u32;
      if (what == 0 && !tell_counts()) return 0;
      if (what == 1) read_datagrams();
      if (what == 2) accept_connections();
      if (what >= 16) read_connection(what - 16);
    }
    send_due();
  }
}
