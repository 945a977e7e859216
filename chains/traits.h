/* SPDX-License-Identifier: Apache-2.0
 * What is known of a method besides its price: where the block stands in its calls, how long its
 * answers hold, what an empty one means, and how it may be sent.  Data of a family's table, read by
 * chains/call.h and chains/answer.h; what to do about it is the gateway's affair. */
#ifndef CHAINS_TRAITS_H
#define CHAINS_TRAITS_H

#include "relay/base/bytes.h"

struct chain;
struct chain_method;

/* Where a call says which block it is about. */
enum chain_place {
	CHAIN_PLACE_NONE, /* nowhere: it is about no block, or about the head */
	CHAIN_PLACE_P0,	  /* the first parameter */
	CHAIN_PLACE_P1,
	CHAIN_PLACE_P2,
	CHAIN_PLACE_FILTER, /* members of the first parameter: fromBlock and toBlock, or blockHash
			     */
	CHAIN_PLACE_OTHER,  /* in a way that is not read */
};

/* What may stand there. */
enum chain_form {
	CHAIN_FORM_NONE,
	CHAIN_FORM_NUMBER, /* a number or a tag */
	CHAIN_FORM_HASH,   /* a hash */
	CHAIN_FORM_ANY,	   /* a number, a tag, a hash, or an object of EIP-1898 */
};

/* What it means when nothing does. */
enum chain_absent {
	CHAIN_ABSENT_NONE,
	CHAIN_ABSENT_ERROR,  /* it must be there, or nodes differ */
	CHAIN_ABSENT_LATEST, /* `latest`; some nodes want it all the same */
};

/* How long an answer holds. */
enum chain_life {
	CHAIN_LIFE_NEVER, /* it is one node's own, or of one moment */
	CHAIN_LIFE_HEAD,  /* until the next block */
	CHAIN_LIFE_BLOCK, /* as long as the block that the call names is of the chain */
	CHAIN_LIFE_ITEM,  /* as long as the block that holds what it shows is: that block stands in
			     the answer, if anywhere */
	CHAIN_LIFE_FOREVER,
};

/* What an answer without content means. */
enum chain_empty {
	CHAIN_EMPTY_VALUE,	  /* what it says */
	CHAIN_EMPTY_MISSING,	  /* null: what was asked for is not there, or not yet */
	CHAIN_EMPTY_MISSING_LIST, /* null or []: the same */
};

/* With what the gateway may replace a tag in the call. */
enum chain_pinning {
	CHAIN_PINNED_NONE,
	CHAIN_PINNED_NUMBER,
	CHAIN_PINNED_HASH, /* or a number */
};

/* To how many a call may go. */
enum chain_sending {
	CHAIN_SEND_ONCE,   /* to one, whatever comes of it */
	CHAIN_SEND_AGAIN,  /* to another after one has failed: it is too much work to be done twice
			    */
	CHAIN_SEND_HEDGE,  /* and to another while one is slow */
	CHAIN_SEND_SPREAD, /* to several at once: it writes, but twice is the same as once */
};

/* Where an answer says of which block it is. */
enum chain_shape {
	CHAIN_SHAPE_NONE,
	CHAIN_SHAPE_HEIGHT, /* it is the number of the head */
	CHAIN_SHAPE_BLOCK,  /* a block or a header: number, hash, parentHash */
	CHAIN_SHAPE_ITEM,   /* something in a block: blockNumber, blockHash */
	CHAIN_SHAPE_ITEMS,  /* a list of such things, of one block when the call names one */
};

struct chain_traits {
	enum chain_place place;
	enum chain_form form;
	enum chain_absent absent;
	enum chain_life life;
	enum chain_empty empty;
	enum chain_pinning pin;
	enum chain_sending send;
	enum chain_shape shape;
	bool exact; /* at one block every honest node says the same, but for members that it adds */
};

/* The traits of a relayed method; entry 0's are those of a method of which nothing is known. */
const struct chain_traits *chain_traits(const struct chain *chain,
					const struct chain_method *method);

#endif
