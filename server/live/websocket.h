/* websocket.h: WebSockets as the other files of this room see them. What applications see is
 * reeve/websocket.h. */
#ifndef LIVE_WEBSOCKET_H
#define LIVE_WEBSOCKET_H

/* What all WebSockets of the process have compressed and inflated with. */
void websocket_close_codec(void);

#endif
