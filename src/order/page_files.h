/* The files of the page (web/), as cmake/embed_web.cmake has put them into the binary. */
#pragma once

struct page_file {
    const char *name; /* without a folder, e.g. "index.html" */
    const char *type;
    const char *tag; /* the entity tag of its content, with quotes */
    const char *text;
};

/* Ends with a NULL name. */
extern const struct page_file page_files[];
