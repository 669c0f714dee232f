"""What is trained: the Task API, the tasks that come along, their data sets, and ways to share data out.

Importing this package costs neither torch nor numpy, so that an idle agent and the coordinator's core may
name tasks. The modules of concrete tasks do import them.
"""

from thinwire.common.errors import TaskError
from thinwire.tasks.registry import BUILTIN, load_task, task_path
from thinwire.tasks.task import Batch, DeviceInfo, Task

__all__ = ["BUILTIN", "Batch", "DeviceInfo", "Task", "TaskError", "load_task", "task_path"]
