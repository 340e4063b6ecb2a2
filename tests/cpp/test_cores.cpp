// SPDX-License-Identifier: Apache-2.0
// The system services for a spinning reader: cores and exact timers. None of them has a lasting effect.
#include <sched.h>
#include <sys/prctl.h>

#include <atomic>
#include <cstring>
#include <framebus/os/os.hpp>
#include <framebus/wait/core_migration.hpp>
#include <thread>
#include <vector>

#include "check.hpp"

namespace {

using namespace framebus;
using namespace framebus::detail;

cpu_set_t allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
  return set;
}

bool same(const cpu_set_t& a, const cpu_set_t& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void changing_the_core_changes_no_permission() {
  const cpu_set_t before = allowed();
  for (int i = 0; i < 20; ++i) {
    CHECK(os::change_core() == (os::usable_cores() > 1));
    CHECK(same(before, allowed()));
  }
}

void where_only_one_core_is_allowed_the_thread_stays() {
  std::thread([] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(!os::change_core());
    CHECK(same(one, allowed()));
    CHECK(os::usable_cores() == 1);
  }).join();
}

void threads_that_want_to_run_are_counted() {
  CHECK(os::usable_cores() >= 1);
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  const int cores = os::usable_cores();
  std::atomic<int> started{0};
  for (int i = 0; i < cores; ++i) {
    busy.emplace_back([&] {
      started.fetch_add(1);
      while (!stop.load()) cpu_relax();
    });
  }
  while (started.load() < cores) std::this_thread::yield();
  CHECK(os::running_threads() >= cores + 1);
  CHECK(!os::has_idle_core(os::monotonic_ns() + 1'000'000'000));  // a second later: it has to ask again
  stop.store(true);
  for (std::thread& thread : busy) thread.join();
}

// Preemption is counted; CoreMigration moves the thread after two preempted spins and restores its affinity mask.
void a_preempted_thread_moves_and_may_run_where_it_might_before() {
  const cpu_set_t before = allowed();
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 2 * os::usable_cores(); ++i) {
    busy.emplace_back([&] {
      while (!stop.load()) cpu_relax();
    });
  }
  CoreMigration migration;
  CHECK(!migration.after_spin());  // nothing was spun yet
  for (int i = 0; i < 4; ++i) {
    migration.before_spin();
    const long preempted = os::preemptions();
    while (os::preemptions() == preempted) cpu_relax();  // all threads want this core, so it happens
    CHECK(migration.after_spin() ==
          (i == 1 && os::usable_cores() > 1));  // at the second consecutive one, and not again soon
    CHECK(!migration.after_spin());             // once for each spin
    CHECK(same(before, allowed()));
  }
  stop.store(true);
  for (std::thread& thread : busy) thread.join();
}

void exact_timers_end_with_their_scope() {
  const int before = prctl(PR_GET_TIMERSLACK);
  {
    const os::ExactTimers exact;
    CHECK(prctl(PR_GET_TIMERSLACK) == 1);
  }
  CHECK(prctl(PR_GET_TIMERSLACK) == before);
}

}  // namespace

int main() {
  changing_the_core_changes_no_permission();
  where_only_one_core_is_allowed_the_thread_stays();
  threads_that_want_to_run_are_counted();
  a_preempted_thread_moves_and_may_run_where_it_might_before();
  exact_timers_end_with_their_scope();
  return check::finish();
}
