/* Answers every request with the same bytes, as fast as libmicrohttpd can: what the daemons are measured
 * against. bare_http THREADS FILE    FILE has the whole answer, headers and body Prints the port it listens
 * on; ends when its standard input does. */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_ANSWER = 65536, MAX_CONNECTIONS = 4096 };

struct answer {
    unsigned status;
    struct MHD_Response *response;
};

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **context) {
    (void)url, (void)method, (void)version, (void)data;
    const struct answer *answer = cls;
    if (!*context) {
        *context = cls; /* the headers are there, the body is to come */
        return MHD_YES;
    }
    if (*size) {
        *size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, answer->status, answer->response);
}

/* libmicrohttpd writes these itself. */
static bool is_own(const char *name) {
    return strcasecmp(name, "Date") == 0 || strcasecmp(name, "Content-Length") == 0 ||
           strcasecmp(name, "Connection") == 0;
}

/* Reads "HTTP/1.1 200 OK", headers, an empty line and the body. False when it is nothing like it. */
static bool parse(char *text, size_t len, struct answer *out) {
    char *body = strstr(text, "\r\n\r\n");
    if (!body || sscanf(text, "HTTP/1.1 %u", &out->status) != 1)
        return false;
    body[2] = '\0';
    body += 4;
    out->response = MHD_create_response_from_buffer(len - (size_t)(body - text), body, MHD_RESPMEM_MUST_COPY);
    char *rest, *line = strtok_r(text, "\r\n", &rest);
    while (out->response && (line = strtok_r(NULL, "\r\n", &rest))) {
        char *value = strstr(line, ": ");
        if (!value)
            return false;
        *value = '\0';
        if (!is_own(line) && MHD_add_response_header(out->response, line, value + 2) != MHD_YES)
            return false;
    }
    return out->response;
}

static bool read_answer(const char *path, struct answer *out) {
    static char text[MAX_ANSWER + 1];
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(text, 1, MAX_ANSWER, file) : 0;
    if (file)
        fclose(file);
    return parse(text, len, out);
}

int main(int argc, char *argv[]) {
    struct answer answer = {0};
    if (argc != 3 || !read_answer(argv[2], &answer)) {
        fprintf(stderr, "usage: bare_http THREADS FILE\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, handle, &answer, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)strtoul(argv[1], NULL, 10), MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)MAX_CONNECTIONS, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_END);
    if (!daemon) {
        perror("bare_http");
        return 1;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(answer.response);
    return 0;
}
