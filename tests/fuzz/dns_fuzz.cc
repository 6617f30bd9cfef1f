// DNS messages as queries and as responses: no reading outside, no endless loop, and what is read is what is written.
#include <cstdlib>

#include "wire/dns.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

void require(bool condition) {
  if (!condition) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes message(data, size);
  std::variant<Query, BadQuery> parsed = parse_query(message);
  if (const Query *query = std::get_if<Query>(&parsed)) {
    std::variant<Query, BadQuery> again = parse_query(make_query(*query));
    const Query *copy = std::get_if<Query>(&again);
    require(copy && copy->question == query->question && copy->id == query->id);
    require(copy->edns.has_value() == query->edns.has_value());
    const Name &name = query->question.name;
    require(Name::parse(name.to_string()) == name);
    require(name.is_within(name) && name.key().size() == name.bytes().size());
    if (std::optional<IpAddress> address = name.reversed_address()) require(Name::reverse(*address) == name);
  } else {
    make_refusal(std::get<BadQuery>(parsed));
  }

  if (std::optional<Response> response = parse_response(message)) {
    for (const auto *section : {&response->answers, &response->authorities, &response->additionals}) {
      for (const Record &record : *section) require(record.start < record.data_offset && record.end() <= size);
    }
    if (const Record *opt = response->opt()) read_opt(*opt);
  }
  if (std::optional<Name> name = Name::parse(std::string_view(reinterpret_cast<const char *>(data), size))) {
    require(Name::parse(name->to_string()) == *name);
  }
  return 0;
}
