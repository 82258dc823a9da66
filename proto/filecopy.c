/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/filecopy.h"

#include "lib/base/bytes.h"

void filecopy_header_decode(const uint8_t untrusted_in[FILECOPY_HEADER_LEN],
                            struct filecopy_header *ret_untrusted)
{
	*ret_untrusted = (struct filecopy_header){
	        .name_len = le32_get(untrusted_in),
	        .mode = le32_get(untrusted_in + 4),
	        .size = le64_get(untrusted_in + 8),
	        .atime = le32_get(untrusted_in + 16),
	        .atime_nsec = le32_get(untrusted_in + 20),
	        .mtime = le32_get(untrusted_in + 24),
	        .mtime_nsec = le32_get(untrusted_in + 28),
	};
}

void filecopy_header_encode(const struct filecopy_header *header, uint8_t out[FILECOPY_HEADER_LEN])
{
	le32_put(out, header->name_len);
	le32_put(out + 4, header->mode);
	le64_put(out + 8, header->size);
	le32_put(out + 16, header->atime);
	le32_put(out + 20, header->atime_nsec);
	le32_put(out + 24, header->mtime);
	le32_put(out + 28, header->mtime_nsec);
}

void filecopy_reply_decode(const uint8_t untrusted_in[FILECOPY_REPLY_LEN], uint32_t *ret_error,
                           uint64_t *ret_crc)
{
	*ret_error = le32_get(untrusted_in);
	*ret_crc = le64_get(untrusted_in + 8);
}

void filecopy_reply_encode(const struct filecopy_reply *reply, uint8_t out[FILECOPY_REPLY_LEN])
{
	le32_put(out, reply->error);
	le32_put(out + 4, 0);
	le64_put(out + 8, reply->crc);
}
