/* types.h: media types by the ending of a file's name. */
#ifndef FILES_TYPES_H
#define FILES_TYPES_H

/* Never NULL: "application/octet-stream" for what is unknown. The string is a constant. */
const char *type_of(const char *path);

#endif
