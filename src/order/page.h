/* GET / and GET /app/:file: the page that shows orders live. */
#pragma once

struct http_request;

/* The page itself, and its scripts and styles. Both answer in prepare, with what was compiled in: no file is opened. Where
 * WEB_UI does not have the page, the answer is 404, as for a path that does not exist. */
void page_index_prepare(struct http_request *request);
void page_file_prepare(struct http_request *request);
