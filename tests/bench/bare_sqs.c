/* Moves messages through a queue as fast as a plain client can: what the way from an order to its shipment is
 * measured against. bare_sqs ENDPOINT QUEUE-URL RECEIVERS FILE    FILE has the body of a SendMessageBatch in
 * each line One thread sends them; the receivers take, and delete, ten messages at a time, each request a
 * call of its own as the daemons make it. Prints how many messages it deleted and the seconds that took.
 * Bounded by what FILE holds, and by TIMEOUT_S for each call. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH = 10,
    MAX_RECEIVERS = 16,
    TIMEOUT_S = 30,
    MAX_TRIES = 3,
    ANSWER_SIZE = 1 << 20,
    REQUEST_SIZE = 16384
};

struct job {
    const char *endpoint, *queue_url, *file;
    size_t expected; /* messages in the file */
    atomic_size_t deleted;
    double end; /* when the last of them was deleted: the other receivers still wait then */
};

struct client {
    CURL *easy;
    struct curl_slist *headers;
    char *answer;
    size_t len;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what) {
    fprintf(stderr, "bare_sqs: %s\n", what);
    exit(1);
}

static size_t take(char *data, size_t size, size_t n, void *cls) {
    struct client *c = cls;
    if (size * n >= ANSWER_SIZE - c->len)
        return 0;
    memcpy(c->answer + c->len, data, size * n);
    c->len += size * n;
    return n;
}

static void open_client(struct client *c, const char *endpoint, const char *operation) {
    char target[64];
    snprintf(target, sizeof target, "X-Amz-Target: AmazonSQS.%s", operation);
    c->answer = malloc(ANSWER_SIZE);
    c->easy = curl_easy_init();
    c->headers = curl_slist_append(NULL, "Content-Type: application/x-amz-json-1.0");
    c->headers = curl_slist_append(c->headers, target);
    if (!c->answer || !c->easy || !c->headers)
        fail("out of memory");
    curl_easy_setopt(c->easy, CURLOPT_URL, endpoint);
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
}

static void close_client(struct client *c) {
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    free(c->answer);
}

/* A server that is in trouble is asked again, as the daemons do; anything else but a 200 without failed
 * entries ends the program. The answer is a string until the next call. */
static char *call(struct client *c, const char *body) {
    long status = 500;
    for (int tries = 0; tries < MAX_TRIES && status >= 500; tries++) {
        c->len = 0;
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
        if (curl_easy_perform(c->easy) != CURLE_OK ||
            curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status))
            fail("a call failed");
        c->answer[c->len] = '\0';
    }
    if (status != 200 || strstr(c->answer, "\"SenderFault\""))
        fail(c->answer);
    return c->answer;
}

static void *send_all(void *arg) {
    const struct job *job = arg;
    struct client client = {0};
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(job->file, "r");
    if (!file)
        fail("the file cannot be read");
    open_client(&client, job->endpoint, "SendMessageBatch");
    while (getline(&line, &size, file) > 0)
        call(&client, line);
    free(line);
    fclose(file);
    close_client(&client);
    return NULL;
}

/* Writes the request that deletes what an answer holds; returns how many messages that is. */
static size_t deletion(const char *queue_url, char *answer, char request[static REQUEST_SIZE]) {
    static const char name[] = "\"ReceiptHandle\":\"";
    size_t n = 0;
    int len = snprintf(request, REQUEST_SIZE, "{\"QueueUrl\":\"%s\",\"Entries\":[", queue_url);
    for (char *p = answer; n < BATCH && (p = strstr(p, name)); n++) {
        p += sizeof name - 1;
        int handle = (int)strcspn(p, "\"");
        len += snprintf(request + len, REQUEST_SIZE - (size_t)len,
                        "%s{\"Id\":\"%zu\",\"ReceiptHandle\":\"%.*s\"}", n ? "," : "", n, handle, p);
        if (len >= REQUEST_SIZE - 3)
            fail("a receipt is too long");
    }
    memcpy(request + len, "]}", 3);
    return n;
}

static void *receive_all(void *arg) {
    struct job *job = arg;
    struct client receiver = {0}, deleter = {0};
    char receive[1024], delete[REQUEST_SIZE];
    open_client(&receiver, job->endpoint, "ReceiveMessage");
    open_client(&deleter, job->endpoint, "DeleteMessageBatch");
    snprintf(receive, sizeof receive,
             "{\"QueueUrl\":\"%s\",\"MaxNumberOfMessages\":10,\"WaitTimeSeconds\":1,\"VisibilityTimeout\":30,"
             "\"AttributeNames\":[\"All\"],\"MessageSystemAttributeNames\":[\"All\"],"
             "\"MessageAttributeNames\":[\"All\"]}",
             job->queue_url);
    while (atomic_load(&job->deleted) < job->expected) {
        size_t n = deletion(job->queue_url, call(&receiver, receive), delete);
        if (n) {
            call(&deleter, delete);
            if (atomic_fetch_add(&job->deleted, n) + n == job->expected)
                job->end = now();
        }
    }
    close_client(&receiver);
    close_client(&deleter);
    return NULL;
}

static size_t count_messages(const char *path) {
    char *line = NULL;
    size_t size = 0, n = 0;
    FILE *file = fopen(path, "r");
    while (file && getline(&line, &size, file) > 0)
        for (char *p = line; (p = strstr(p, "\"MessageBody\":")); p++)
            n++;
    free(line);
    if (file)
        fclose(file);
    return n;
}

int main(int argc, char *argv[]) {
    pthread_t threads[1 + MAX_RECEIVERS];
    size_t receivers = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    if (receivers < 1 || receivers > MAX_RECEIVERS) {
        fprintf(stderr, "usage: bare_sqs ENDPOINT QUEUE-URL RECEIVERS FILE\n");
        return 2;
    }
    struct job job = {
        .endpoint = argv[1], .queue_url = argv[2], .file = argv[4], .expected = count_messages(argv[4])};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    double start = now();
    for (size_t i = 0; i <= receivers; i++)
        if (pthread_create(&threads[i], NULL, i ? receive_all : send_all, &job) != 0)
            fail("no threads");
    for (size_t i = 0; i <= receivers; i++)
        pthread_join(threads[i], NULL);
    printf("%zu %.3f\n", atomic_load(&job.deleted), job.end - start);
    curl_global_cleanup();
    return 0;
}
