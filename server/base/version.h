/* version.h: which reeve this is. The build may say it (-DREEVE_VERSION), so that a package can add
 * its own suffix; every report takes it from here. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#ifndef REEVE_VERSION
#define REEVE_VERSION "0.1.0"
#endif

#endif
