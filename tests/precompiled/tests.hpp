// What nearly every test includes, compiled once for each group (meson setup -Db_pch=false does
// without).
#pragma once

#include "tests/support.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <unordered_map>
