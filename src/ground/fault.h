/*
 * fault.h
 *		Points at which tests make a process fail.
 *
 * Compiled in only with -DFS_FAULTS.  feature_stream.fault = 'name:action:n'
 * makes the n-th passage of the point in each process act: 'crash' kills the
 * process with SIGKILL, 'error' raises an ERROR.
 */
#ifndef FS_GROUND_FAULT_H
#define FS_GROUND_FAULT_H

#ifdef FS_FAULTS
extern void fs_fault_define(void);
extern void fs_fault_pass(const char *name);
#define FS_FAULT(name) fs_fault_pass(name)
#else
#define fs_fault_define() ((void) 0)
#define FS_FAULT(name) ((void) 0)
#endif

#endif							/* FS_GROUND_FAULT_H */
