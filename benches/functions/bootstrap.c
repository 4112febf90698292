// A function that is a program of its own: takes events from the Lambda Runtime API and answers each with itself. No library but C's.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char in[1 << 20], out[(1 << 20) + 512];

/* Reads one answer: where its body begins, and how long it is. */
static char *answer(int line, long *length, char *id) {
  long have = 0;
  char *end = NULL;
  while (!end) {
    long more = read(line, in + have, sizeof in - 1 - have);
    if (more <= 0) exit(1);
    in[have += more] = 0;
    end = strstr(in, "\r\n\r\n");
  }
  *length = 0;
  for (char *at = strstr(in, "\r\n"); at && at < end; at = strstr(at + 2, "\r\n")) {
    if (!strncasecmp(at + 2, "content-length:", 15)) *length = atol(at + 17);
    if (id && !strncasecmp(at + 2, "lambda-runtime-aws-request-id:", 30)) sscanf(at + 32, " %127[^\r]", id);
  }
  while (in + have < end + 4 + *length) {
    long more = read(line, in + have, sizeof in - 1 - have);
    if (more <= 0) exit(1);
    have += more;
  }
  return end + 4;
}

static void all(int line, const char *data, long length) {
  for (long sent = 0; sent < length;) {
    long more = write(line, data + sent, length - sent);
    if (more <= 0) exit(1);
    sent += more;
  }
}

int main(void) {
  char host[64] = "127.0.0.1", id[128] = "", next[256];
  int port = 9001, on = 1, line = socket(AF_INET, SOCK_STREAM, 0);
  const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
  if (api) sscanf(api, "%63[^:]:%d", host, &port);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  if (connect(line, (struct sockaddr *)&to, sizeof to)) return 1;
  setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int ask = snprintf(next, sizeof next, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s:%d\r\n\r\n", host, port);
  for (;;) {
    long length;
    all(line, next, ask);
    char *body = answer(line, &length, id);
    int head = snprintf(out, sizeof out, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s:%d\r\nContent-Length: %ld\r\n\r\n", id, host, port, length);
    memcpy(out + head, body, length);
    all(line, out, head + length);
    answer(line, &length, NULL);
  }
}
