"""Attendance 签到 by the venue code, and the hours that are verified in the end."""
