/*
 * Asks a DNS server and measures how long answers take. What to ask comes from a file of lookups, each a list of steps, each a list of
 * queries that leave together. A step that finds something ends the lookup, one that does not leads to the next: so a plain query is
 * one step of one query, and a pod's search list is four steps of two. All queries are ready messages; only their IDs are set here.
 *
 *     cc -O2 -o load load.c && ./load -a 127.0.0.1 -p 5300 -f FILE -m udp -w 64 -s 5
 *
 *     -f FILE   octet "steps", for each step octet "queries", for each query two octets of length and the message
 *     -m MODE   udp, tcp (a connection for each client, pipelined), tcp1 (a connection for each query)
 *     -w N      as many lookups at once, a new one as soon as one is done
 *     -r N      in place of -w: so many lookups a second, whatever comes back; time counts from when a lookup was due
 *     -s N      seconds; -n N: this many lookups at most
 *     -c N      clients: sockets, or connections
 *     -b A      address of the first client, the next has the next one; without it all have the system's choice
 *     -t N      milliseconds after which a query is lost
 *     -x N      from this lookup of the file on
 *     -y        never sleeps, so that no server pays for waking it
 *
 * Prints one line of JSON. Times are in microseconds.
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

enum { ids = 65536, most_clients = 4096, room = 65536 + 2, events_a_turn = 256, out_room = 1 << 18, most_replies_a_look = 64, order_room = 1 << 21 };
enum mode { udp, tcp, tcp1 };

struct flight {
  const unsigned char *step; /* where the step under way begins in the file */
  int64_t due;
  int next_free;
  unsigned char steps_left, pending, found;
};

struct client {
  int fd;
  int is_open;
  unsigned char *in, *out;
  int in_size, out_size;
  int wants_out;
};

static enum mode mode = udp;
static struct sockaddr_in server;
static struct in_addr first_source;
static int has_source, is_awake;
static int window = 64, client_count = 8, timeout_ms = 2000, from;
static double rate, seconds = 5;
static int64_t most_lookups = INT64_MAX;

static unsigned char *file;
static const unsigned char **lookups;
static int lookup_count;

static struct flight flights[ids];
static int free_flight;
static int in_flight;
/* For each ID: the flight that waits for it, its client, and when it left. IDs wait in a ring until they are used again. */
static int id_flight[ids];
static int id_client[ids];
static int64_t id_sent[ids];
static uint16_t free_ids[ids];
static unsigned ids_taken, ids_given;
static uint16_t order[order_room];
static int64_t order_sent[order_room];
static unsigned order_head, order_tail;

static struct client clients[ids];
static int poller;

static float *times;
static int64_t time_count, time_room;
static int64_t started, asked, answered, lost_queries, lost_lookups, skipped, unfound, failed;
static int64_t by_rcode[16];
static int64_t next_lookup;
static int source_turn;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void read_file(const char *path) {
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) die(path);
  fseek(stream, 0, SEEK_END);
  long size = ftell(stream);
  rewind(stream);
  file = malloc(size + 1);
  if (fread(file, 1, size, stream) != (size_t)size) die(path);
  fclose(stream);
  int room_for = 0;
  for (const unsigned char *at = file; at < file + size;) {
    if (lookup_count == room_for) lookups = realloc(lookups, (room_for = room_for ? room_for * 2 : 1024) * sizeof *lookups);
    lookups[lookup_count++] = at;
    int steps = *at++;
    for (int step = 0; step < steps; step += 1) {
      int queries = *at++;
      for (int query = 0; query < queries; query += 1) at += 2 + (at[0] << 8 | at[1]);
    }
  }
  if (lookup_count == 0) exit(1);
}

static int open_socket(int with_source) {
  int fd = socket(AF_INET, (mode == udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
  if (fd < 0) die("socket");
  int yes = 1, queue = 4 << 20;
  if (mode == udp) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue);
  else setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (with_source >= 0) {
    struct sockaddr_in own = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(ntohl(first_source.s_addr) + with_source);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0) die("bind");
  }
  if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) die("connect");
  return fd;
}

static void watch(int index, int wants_out) {
  struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0), .data.u32 = index};
  int action = clients[index].is_open ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(poller, action, clients[index].fd, &event) != 0) die("epoll_ctl");
  clients[index].is_open = 1;
  clients[index].wants_out = wants_out;
}

static void open_client(int index, int with_source) {
  struct client *client = &clients[index];
  client->fd = open_socket(with_source);
  client->is_open = 0;
  client->in_size = client->out_size = 0;
  if (mode != udp && client->in == NULL) {
    int share = mode == tcp ? out_room : 4096;
    client->in = malloc(mode == tcp ? room * 4 : room);
    client->out = malloc(share);
  }
  watch(index, mode == tcp1);
}

static void close_client(int index) {
  if (!clients[index].is_open) return;
  close(clients[index].fd);
  clients[index].is_open = 0;
}

static int take_id(int flight, int client, int64_t now) {
  if (ids_given - ids_taken == 0) return -1;
  uint16_t id = free_ids[ids_taken++ % ids];
  id_flight[id] = flight;
  id_client[id] = client;
  id_sent[id] = now;
  order[order_tail % order_room] = id;
  order_sent[order_tail++ % order_room] = now;
  return id;
}

static void give_id(uint16_t id) {
  id_flight[id] = -1;
  free_ids[ids_given++ % ids] = id;
}

static void flush_client(int index) {
  struct client *client = &clients[index];
  int sent = 0;
  while (sent < client->out_size) {
    ssize_t taken = send(client->fd, client->out + sent, client->out_size - sent, MSG_NOSIGNAL);
    if (taken <= 0) break;
    sent += taken;
  }
  memmove(client->out, client->out + sent, client->out_size - sent);
  client->out_size -= sent;
  int wants_out = client->out_size > 0;
  if (wants_out != client->wants_out) watch(index, wants_out);
}

static void finish(int index, int64_t now, int was_lost) {
  struct flight *flight = &flights[index];
  if (was_lost) lost_lookups += 1;
  else {
    if (time_count == time_room) times = realloc(times, (time_room = time_room ? time_room * 2 : 1 << 16) * sizeof *times);
    times[time_count++] = (now - flight->due) / 1000.0f;
    if (!flight->found) unfound += 1;
  }
  flight->next_free = free_flight;
  free_flight = index;
  in_flight -= 1;
}

static void send_query(int flight, const unsigned char *query, int size, int64_t now) {
  int index = mode == tcp1 ? -1 : flight % client_count;
  int id = take_id(flight, index, now);
  if (id < 0) {
    skipped += 1;
    return;
  }
  if (mode == tcp1) {
    index = id;
    id_client[id] = index;
    open_client(index, has_source ? source_turn++ % 250 : -1);
  }
  struct client *client = &clients[index];
  asked += 1;
  flights[flight].pending += 1;
  if (mode == udp) {
    unsigned char message[room];
    memcpy(message, query, size);
    message[0] = id >> 8;
    message[1] = id & 255;
    if (send(client->fd, message, size, 0) < 0) failed += 1;
    return;
  }
  if (mode == tcp && !client->is_open) open_client(index, has_source ? index : -1);
  if (client->out_size + size + 2 > (mode == tcp ? out_room : 4096)) {
    failed += 1;
    return;
  }
  unsigned char *at = client->out + client->out_size;
  at[0] = size >> 8;
  at[1] = size & 255;
  memcpy(at + 2, query, size);
  at[2] = id >> 8;
  at[3] = id & 255;
  client->out_size += size + 2;
}

/* The queries of the step at flight->step; leaves flight->step behind them. */
static void send_step(int index, int64_t now) {
  struct flight *flight = &flights[index];
  const unsigned char *at = flight->step;
  int queries = *at++;
  flight->steps_left -= 1;
  for (int query = 0; query < queries; query += 1) {
    int size = at[0] << 8 | at[1];
    send_query(index, at + 2, size, now);
    at += 2 + size;
  }
  flight->step = at;
  if (flight->pending == 0) finish(index, now, 1);
}

static int begin_lookup(int64_t due, int64_t now) {
  if (free_flight < 0) {
    skipped += 1;
    return 0;
  }
  int index = free_flight;
  struct flight *flight = &flights[index];
  free_flight = flight->next_free;
  const unsigned char *at = lookups[(from + next_lookup++) % lookup_count];
  flight->found = flight->pending = 0;
  flight->due = due;
  flight->steps_left = *at;
  flight->step = at + 1;
  in_flight += 1;
  send_step(index, now);
  return 1;
}

static void take_reply(int client, const unsigned char *reply, int size, int64_t now) {
  if (size < 12) return;
  uint16_t id = reply[0] << 8 | reply[1];
  int index = id_flight[id];
  if (index < 0 || id_client[id] != client) return;
  give_id(id);
  struct flight *flight = &flights[index];
  answered += 1;
  by_rcode[reply[3] & 15] += 1;
  if ((reply[3] & 15) == 0 && (reply[6] | reply[7])) flight->found = 1;
  flight->pending -= 1;
  if (flight->pending > 0) return;
  if (flight->found || flight->steps_left == 0) finish(index, now, 0);
  else send_step(index, now);
}

static void lose_queries(int64_t now) {
  for (; order_head != order_tail; order_head += 1) {
    uint16_t id = order[order_head % order_room];
    int64_t sent = order_sent[order_head % order_room];
    if (id_flight[id] < 0 || id_sent[id] != sent) continue;
    if (now - sent <= timeout_ms * 1000000LL) return;
    int index = id_flight[id];
    lost_queries += 1;
    if (mode == tcp1) close_client(id_client[id]);
    give_id(id);
    flights[index].pending -= 1;
    if (flights[index].pending == 0) finish(index, now, 1);
  }
}

static void read_datagrams(int index) {
  unsigned char reply[4096];
  for (int count = 0; count < most_replies_a_look; count += 1) {
    ssize_t size = recv(clients[index].fd, reply, sizeof reply, 0);
    if (size < 0) return;
    take_reply(index, reply, size, now_ns());
  }
}

static void read_stream(int index) {
  struct client *client = &clients[index];
  int space = mode == tcp ? room * 4 : room;
  ssize_t size = recv(client->fd, client->in + client->in_size, space - client->in_size, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) {
    close_client(index);
    return;
  }
  client->in_size += size;
  int at = 0;
  int64_t now = now_ns();
  while (client->in_size - at >= 2) {
    int length = client->in[at] << 8 | client->in[at + 1];
    if (client->in_size - at < length + 2) break;
    if (mode == tcp1) close_client(index);
    take_reply(index, client->in + at + 2, length, now);
    if (mode == tcp1) return;
    at += 2 + length;
  }
  memmove(client->in, client->in + at, client->in_size - at);
  client->in_size -= at;
}

static void look(int64_t wait_ns) {
  struct epoll_event events[events_a_turn];
  struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
  int count = epoll_pwait2(poller, events, events_a_turn, &wait, NULL);
  for (int turn = 0; turn < count; turn += 1) {
    int index = events[turn].data.u32;
    if (!clients[index].is_open) continue;
    if (events[turn].events & EPOLLOUT) flush_client(index);
    if (!clients[index].is_open) continue;
    if (events[turn].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
      if (mode == udp) read_datagrams(index);
      else read_stream(index);
    }
  }
}

static int by_size(const void *one, const void *other) {
  float difference = *(const float *)one - *(const float *)other;
  return difference < 0 ? -1 : difference > 0;
}

static double quantile(double share) {
  if (time_count == 0) return 0;
  int64_t index = time_count * share;
  return times[index < time_count ? index : time_count - 1];
}

static void report(double lasted) {
  qsort(times, time_count, sizeof *times, by_size);
  printf("{\"seconds\":%.4f,\"lookups\":%ld,\"lostLookups\":%ld,\"unfound\":%ld,\"asked\":%ld,\"answered\":%ld,\"lost\":%ld,"
         "\"skipped\":%ld,\"failed\":%ld,\"noError\":%ld,\"nxDomain\":%ld,\"servFail\":%ld,"
         "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"most\":%.1f}\n",
         lasted, (long)time_count, (long)lost_lookups, (long)unfound, (long)asked, (long)answered, (long)lost_queries, (long)skipped,
         (long)failed, (long)by_rcode[0], (long)by_rcode[3], (long)by_rcode[2], quantile(0.5), quantile(0.9), quantile(0.99),
         quantile(0.999), quantile(1));
}

static void read_options(int count, char **words) {
  server.sin_family = AF_INET;
  for (int option; (option = getopt(count, words, "a:p:f:m:w:r:s:n:c:b:t:x:y")) != -1;) {
    switch (option) {
    case 'a': inet_pton(AF_INET, optarg, &server.sin_addr); break;
    case 'p': server.sin_port = htons(atoi(optarg)); break;
    case 'f': read_file(optarg); break;
    case 'm': mode = strcmp(optarg, "tcp") == 0 ? tcp : strcmp(optarg, "tcp1") == 0 ? tcp1 : udp; break;
    case 'w': window = atoi(optarg); break;
    case 'r': rate = atof(optarg); break;
    case 's': seconds = atof(optarg); break;
    case 'n': most_lookups = atoll(optarg); break;
    case 'c': client_count = atoi(optarg); break;
    case 'b': has_source = inet_pton(AF_INET, optarg, &first_source) == 1; break;
    case 't': timeout_ms = atoi(optarg); break;
    case 'x': from = atoi(optarg); break;
    case 'y': is_awake = 1; break;
    default: exit(64);
    }
  }
  if (file == NULL || server.sin_port == 0 || client_count < 1 || client_count > most_clients) exit(64);
}

int main(int count, char **words) {
  read_options(count, words);
  prctl(PR_SET_TIMERSLACK, 1);
  poller = epoll_create1(0);
  /* The name with its ID from another port, seconds later, is what a resolver sends that has waited. So no run begins with the IDs of another. */
  unsigned first_id = now_ns() >> 16;
  for (int id = 0; id < ids; id += 1) {
    id_flight[id] = -1;
    give_id((first_id + id) % ids);
    flights[id].next_free = id + 1 < ids ? id + 1 : -1;
  }
  if (mode != tcp1) for (int index = 0; index < client_count; index += 1) open_client(index, has_source ? index : -1);
  started = now_ns();
  int64_t ends = started + seconds * 1e9;
  int64_t begun = 0, last = started;
  for (;;) {
    int64_t now = now_ns();
    int is_over = now >= ends || begun >= most_lookups;
    if (!is_over && rate > 0) {
      for (; begun < most_lookups; begun += 1) {
        int64_t due = started + begun * (1e9 / rate);
        if (due > now) break;
        begin_lookup(due, now);
      }
    } else if (!is_over) {
      for (; in_flight < window && begun < most_lookups; begun += 1) if (!begin_lookup(now, now)) break;
    }
    if (mode == tcp) for (int index = 0; index < client_count; index += 1) if (clients[index].out_size > 0 && !clients[index].wants_out) flush_client(index);
    if (is_over && in_flight == 0) break;
    if (in_flight > 0) last = now;
    int64_t wait = is_awake ? 0 : 5000000;
    if (!is_over && rate > 0) {
      int64_t due = started + begun * (1e9 / rate);
      if (due - now < wait) wait = due > now ? due - now : 0;
    }
    look(wait);
    lose_queries(now_ns());
  }
  report((last > ends ? ends - started : last - started) / 1e9);
  return 0;
}
