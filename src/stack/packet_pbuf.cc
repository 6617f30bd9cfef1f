#include "stack/packet_pbuf.h"

namespace slipgate {

PacketPbufs::~PacketPbufs() {
  while (free_) delete std::exchange(free_, free_->next_free);
}

pbuf *PacketPbufs::lend(Packet packet, size_t offset, size_t size) {
  Lent *lent = free_;
  if (lent) {
    free_ = lent->next_free;
    free_count_--;
  } else {
    lent = new Lent();
    lent->owner = this;
    lent->custom.custom_free_function = give_back;
  }
  lent->packet = std::move(packet);
  uint8_t *bytes = lent->packet.data() + offset;
  return pbuf_alloced_custom(PBUF_RAW, static_cast<u16_t>(size), PBUF_REF, &lent->custom, bytes,
                             static_cast<u16_t>(size));
}

const Packet *PacketPbufs::packet_of(const pbuf *buffer) {
  if (!(buffer->flags & PBUF_FLAG_IS_CUSTOM)) return nullptr;
  return &reinterpret_cast<const Lent *>(buffer)->packet;
}

void PacketPbufs::give_back(pbuf *buffer) {
  Lent *lent = reinterpret_cast<Lent *>(buffer);
  lent->packet.reset();
  PacketPbufs *owner = lent->owner;
  if (owner->free_count_ == kKept) {
    delete lent;
    return;
  }
  lent->next_free = owner->free_;
  owner->free_ = lent;
  owner->free_count_++;
}

}  // namespace slipgate
