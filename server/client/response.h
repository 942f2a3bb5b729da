/* response.h: who frees an answer that its owner has not given back. */
#ifndef CLIENT_RESPONSE_H
#define CLIENT_RESPONSE_H

struct reeve_client_response;

/* From here on it goes with the current request, if there is one. 0, or ENOMEM. */
int client_keep_response(struct reeve_client_response *response);

#endif
