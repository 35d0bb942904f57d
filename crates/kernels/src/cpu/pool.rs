//! Threads that share the tasks of one product after the other.
//!
//! A token passes through more than a hundred products of some tens of microseconds. A thread that sleeps between two
//! of them takes as long to wake up as the product takes, so threads wait for the next one in a loop, and sleep only
//! when none comes. The calling thread takes part. It waits for tasks that have begun, never for a thread that has not
//! come: a thread that another program keeps from running delays nothing but its own task.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread without work looks for some before it sleeps.
const IDLE: Duration = Duration::from_micros(200);
/// How long the caller looks for the end of the last tasks before it sleeps. Its core is then free for the thread that
/// is at work on them and may be waiting for one.
const LAST_TASKS: Duration = Duration::from_micros(50);

type Panic = Box<dyn std::any::Any + Send>;
type Work = dyn Fn(usize) + Sync;

/// Worker threads, one fewer than take part.
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Number of the current job in the high half, its tasks that nobody has taken in the low half.
    state: AtomicU64,
    /// The current job. Written by the caller alone, while no task is left to take; read by who has taken one.
    job: UnsafeCell<Job>,
    finished: AtomicUsize,
    panic: Mutex<Option<Panic>>,
    /// Whether a job is running; another caller does its tasks alone.
    busy: AtomicBool,
    /// Threads asleep, which wait for a change of `state`, or for the last task.
    asleep: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
    closed: AtomicBool,
}

#[derive(Clone, Copy)]
struct Job {
    work: Option<*const Work>,
    tasks: usize,
}

// SAFETY: `job` is written and read as its comment says; the pointer in it is followed only by a thread that has taken
// a task, and the caller, who keeps what it points to, waits until every task is finished.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool[{}]", self.threads())
    }
}

impl Pool {
    /// `threads` = 0, and more than there are cores, take every core.
    pub(super) fn new(threads: usize) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 {
            cores
        } else {
            threads.min(cores)
        };
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(Job {
                work: None,
                tasks: 0,
            }),
            finished: AtomicUsize::new(0),
            panic: Mutex::new(None),
            busy: AtomicBool::new(false),
            asleep: AtomicUsize::new(0),
            lock: Mutex::new(()),
            changed: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let mut pool = Self {
            shared,
            workers: Vec::new(),
        };
        for i in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let builder = std::thread::Builder::new().name(format!("verdict-{i}"));
            pool.workers.push(builder.spawn(move || shared.serve())?);
        }
        Ok(pool)
    }

    pub(super) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work(i)` for every `i < tasks`; returns when all have ended.
    pub(super) fn run(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        let alone = tasks <= 1 || self.workers.is_empty();
        if alone || u32::try_from(tasks).is_err() || shared.busy.swap(true, Ordering::Acquire) {
            return (0..tasks).for_each(work);
        }
        // SAFETY: the lifetime is forgotten, but `run` returns only when every task has ended, and nobody calls `work`
        // without a task. No task is left of the job before, so nobody reads `job`.
        unsafe {
            let work = std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const Work>(work);
            *shared.job.get() = Job {
                work: Some(work),
                tasks,
            };
        }
        shared.finished.store(0, Ordering::Relaxed);
        let number = (shared.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        shared
            .state
            .store(number << 32 | tasks as u64, Ordering::SeqCst);
        shared.wake();
        while shared.take_one() {}
        shared.wait(LAST_TASKS, || {
            shared.finished.load(Ordering::SeqCst) == tasks
        });
        let panic = shared
            .panic
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .take();
        shared.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.wake();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn has_tasks(&self) -> bool {
        self.state.load(Ordering::SeqCst) as u32 > 0
    }

    fn serve(&self) {
        loop {
            while self.take_one() {}
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            self.wait(IDLE, || {
                self.has_tasks() || self.closed.load(Ordering::SeqCst)
            });
        }
    }

    /// Takes a task and does it; false where none is left.
    fn take_one(&self) -> bool {
        let less = |state: u64| (state as u32 > 0).then(|| state - 1);
        let Ok(state) = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
        else {
            return false;
        };
        // SAFETY: a task is taken and not finished, so the job is not replaced.
        let job = unsafe { *self.job.get() };
        let index = job.tasks - state as u32 as usize;
        if let Some(work) = job.work {
            // SAFETY: as above, and the caller keeps `work` until this task is finished.
            let done = catch_unwind(AssertUnwindSafe(|| unsafe { (*work)(index) }));
            if let Err(panic) = done {
                *self.panic.lock().unwrap_or_else(|p| p.into_inner()) = Some(panic);
            }
        }
        // From here on the job may be another.
        if self.finished.fetch_add(1, Ordering::SeqCst) + 1 == job.tasks {
            self.wake();
        }
        true
    }

    /// Returns when `ready` holds: looks for it for some time, then sleeps.
    fn wait(&self, patience: Duration, ready: impl Fn() -> bool) {
        let started = Instant::now();
        loop {
            for _ in 0..16 {
                if ready() {
                    return;
                }
                std::hint::spin_loop();
            }
            if started.elapsed() > patience {
                break;
            }
        }
        let mut guard = self.guard();
        self.asleep.fetch_add(1, Ordering::SeqCst);
        while !ready() {
            guard = self.changed.wait(guard).unwrap_or_else(|p| p.into_inner());
        }
        self.asleep.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes those asleep. What they wait for was stored before.
    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            // A thread that is about to sleep holds the lock from its last look until it does.
            drop(self.guard());
            self.changed.notify_all();
        }
    }

    fn guard(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(|p| p.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once() {
        let pool = Pool::new(0).expect("threads");
        for tasks in (0..40).chain([1_000]) {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..50 {
                pool.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
            }
            assert!(
                counts.iter().all(|c| c.load(Ordering::Relaxed) == 50),
                "{tasks} tasks"
            );
        }
    }

    #[test]
    fn threads_that_sleep_are_woken() {
        let pool = Pool::new(0).expect("threads");
        let count = AtomicUsize::new(0);
        for _ in 0..20 {
            std::thread::sleep(IDLE * 3);
            pool.run(8, &|_| {
                std::thread::sleep(LAST_TASKS * 3);
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(count.into_inner(), 160);
    }

    #[test]
    fn a_job_within_a_job_and_jobs_of_two_callers_are_done() {
        let pool = Pool::new(0).expect("threads");
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        pool.run(4, &|_| {
                            pool.run(4, &|_| {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 3_200);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_works_on() {
        let pool = Pool::new(0).expect("threads");
        let failed = catch_unwind(AssertUnwindSafe(|| {
            pool.run(8, &|i| assert_ne!(i, 3, "task three"));
        }));
        assert!(failed.is_err());
        let count = AtomicUsize::new(0);
        pool.run(8, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 8);
    }

    #[test]
    fn there_are_no_more_threads_than_cores() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(Pool::new(100_000).expect("threads").threads(), cores);
        assert_eq!(Pool::new(1).expect("threads").threads(), 1);
    }
}
