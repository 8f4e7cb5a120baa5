"""`jobd drill`: imports known data under random faults, and proves that nothing was lost and nothing came twice.

``network`` can be made to fail.
"""
